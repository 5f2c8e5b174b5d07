package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/statuspage"
)

// inspect reads the account of the sample update and says where it, or what really
// arrived, differs from what should have happened. Each difference is a sentence.
func (st *stage) inspect(ctx context.Context, h *house) (account, []string, error) {
	updates, err := h.ledger.Updates(ctx, ledger.UpdateQuery{Key: st.key})
	if err == nil && len(updates) == 0 {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return account{}, nil, fmt.Errorf("read the sample update from the ledger: %w", err)
	}
	all, err := readAccount(ctx, h.ledger, updates[0], true)
	if err != nil {
		return account{}, nil, err
	}
	found := accountDifferences(all)
	found = append(found, mailDifferences(all, st.mail.mailbox())...)
	found = append(found, st.roomDifferences()...)
	pages, err := st.pageDifferences(ctx, h)
	if err != nil {
		return account{}, nil, err
	}
	found = append(found, pages...)
	acc, err := readAccount(ctx, h.ledger, updates[0], false)
	return acc, found, err
}

// accountDifferences: everybody got it but the one who is gone.
func accountDifferences(acc account) []string {
	var found []string
	if acc.Delivered != demoRecipients-1 || acc.Failed != 1 || acc.Pending != 0 || acc.Other != 0 {
		found = append(found, fmt.Sprintf("delivered should be %d and failed 1, but %d were delivered, %d failed, %d are pending and %d were not sent",
			demoRecipients-1, acc.Delivered, acc.Failed, acc.Pending, acc.Other))
	}
	for _, r := range acc.Recipients {
		gone := r.Address == demoGone
		switch {
		case gone && (r.Outcome != string(ledger.Failed) || r.Fault != string(channels.NoRecipient)):
			found = append(found, fmt.Sprintf("%s should have failed as %q, but is %s (%s)", r.Address, faultWords(channels.NoRecipient), r.Outcome, r.Reason))
		case !gone && r.Outcome != string(ledger.Delivered):
			found = append(found, fmt.Sprintf("%s %s should have got it, but is %s: %s", r.Channel, r.Address, r.Outcome, r.Reason))
		}
	}
	return found
}

// mailDifferences: the mailbox holds one mail for each whom the report says got it,
// and none for anybody else.
func mailDifferences(acc account, mailbox []received) []string {
	want := map[string]int{}
	audience := map[string]string{}
	for _, r := range acc.Recipients {
		if r.Channel == "mail" && r.Outcome == string(ledger.Delivered) {
			want[r.Address]++
		}
		audience[r.Address] = r.Audience
	}
	var found []string
	for _, m := range mailbox {
		want[m.To]--
		v, err := m.view()
		if err != nil {
			found = append(found, err.Error())
		} else if audience[m.To] != string(incident.Internal) && strings.Contains(v.HTML+v.Text+v.Subject, demoSecret) {
			found = append(found, fmt.Sprintf("the technical notes reached %s", m.To))
		}
	}
	for address, n := range want {
		if n != 0 {
			found = append(found, fmt.Sprintf("the report and the mailbox disagree about %s by %d", address, n))
		}
	}
	slices.Sort(found)
	return found
}

// roomDifferences: one thread in each room, and no technical note in the shared one.
func (st *stage) roomDifferences() []string {
	roots, replies := map[string]int{}, map[string]int{}
	var found []string
	for _, p := range st.chat.Posts() {
		if p.Root == "" {
			roots[p.Room]++
		} else {
			replies[p.Room]++
		}
		if p.Room == demoShared && strings.Contains(p.Text, demoSecret) {
			found = append(found, "the technical notes reached the room "+p.Room)
		}
	}
	for _, room := range []string{demoInside, demoShared} {
		if roots[room] != 1 || replies[room] != 1 {
			found = append(found, fmt.Sprintf("the room %s should hold a card and one update, but has %d and %d", room, roots[room], replies[room]))
		}
	}
	return found
}

// pageDifferences: both pages show the update, and the public one not whose it is.
func (st *stage) pageDifferences(ctx context.Context, h *house) ([]string, error) {
	pages, err := st.pages(ctx, h)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, p := range pages {
		switch {
		case !strings.Contains(p.Document, "Sign-in fails"):
			found = append(found, "the update is not on the page "+p.Address)
		case strings.Contains(p.Document, demoSecret):
			found = append(found, "the technical notes are on the page "+p.Address)
		case p.Open && strings.Contains(p.Document, "Enterprise"):
			found = append(found, "the public page names the customer")
		}
	}
	return found, nil
}

// shownPage is a status page as it is now.
type shownPage struct {
	pageView
	statuspage.Link
}

// statusPages is the built-in status page over the demo's ledger.
func (st *stage) statusPages(h *house) (http.Handler, error) {
	return statuspage.New(statuspage.Options{Pages: h.ledger, Title: h.cfg.Page.Title, BaseURL: h.cfg.Page.BaseURL})
}

// pages are the status pages that the lists name.
func (st *stage) pages(ctx context.Context, h *house) ([]shownPage, error) {
	site, err := st.statusPages(h)
	if err != nil {
		return nil, err
	}
	links, err := statuspage.Links(ctx, h.ledger, h.cfg.Page.BaseURL, pageAddresses(h.cfg)...)
	if err != nil {
		return nil, err
	}
	shown := make([]shownPage, 0, len(links))
	for _, l := range links {
		doc, err := document(site, strings.TrimPrefix(l.URL, st.url))
		if err != nil {
			return nil, err
		}
		name := "The customer’s private page"
		if l.Open {
			name = "The public page"
		}
		shown = append(shown, shownPage{pageView{Name: name, Document: doc}, l})
	}
	return shown, nil
}
