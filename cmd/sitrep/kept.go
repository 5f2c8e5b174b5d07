package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"sitrep/dispatcher"
	"sitrep/ledger"
	"sitrep/server"
)

// promises are what became of promises of a next update.
type promises []dispatcher.Promised

func (a *app) readPromises(ctx context.Context, l ledger.Reader) (promises, error) {
	updates, err := l.Updates(ctx, ledger.UpdateQuery{})
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	return dispatcher.Promises(updates, a.now()), nil
}

func (p promises) which(ok func(dispatcher.Promised) bool) promises {
	return slices.DeleteFunc(slices.Clone(p), func(x dispatcher.Promised) bool { return !ok(x) })
}

// view is an incident's part for programs: nil if it never promised anything.
func (p promises) view(incident string) *server.KeptView {
	own := p.which(func(x dispatcher.Promised) bool { return x.Incident == incident })
	if len(own) == 0 {
		return nil
	}
	v := server.Kept(own)
	return &v
}

// ofIncident is an incident's part in a line about it; empty while none was due.
func (p promises) ofIncident(incident string) string {
	if v := p.view(incident); v != nil && v.Due > 0 {
		return fmt.Sprintf(", %d of %s kept", v.Kept, count(v.Due, "promise"))
	}
	return ""
}

// customers are those who were ever promised an update, by id.
func (p promises) customers() []server.CustomerPromises {
	by := map[string]promises{}
	for _, x := range p {
		by[x.Customer] = append(by[x.Customer], x)
	}
	all := []server.CustomerPromises{}
	for id, own := range by {
		all = append(all, server.CustomerPromises{Customer: id, KeptView: server.Kept(own)})
	}
	slices.SortFunc(all, func(x, y server.CustomerPromises) int { return cmp.Compare(x.Customer, y.Customer) })
	return all
}

// print is the summary by customer, for people.
func (p promises) print(w io.Writer, s style) {
	if len(p) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", s.bold("Next updates that came when they were promised:"))
	for _, c := range p.customers() {
		fmt.Fprintf(w, "  %-16s %s\n", oneLine(c.Customer), keptWords(c.KeptView, s))
	}
}

// keptWords is "2 of 3 (67 %), 1 is not due yet".
func keptWords(v server.KeptView, s style) string {
	var parts []string
	if v.Due > 0 {
		words := fmt.Sprintf("%d of %d (%.0f %%)", v.Kept, v.Due, 100*float64(v.Kept)/float64(v.Due))
		if v.Kept < v.Due {
			words = s.yellow(words)
		}
		parts = append(parts, words)
	} else {
		parts = append(parts, "none was due yet")
	}
	if v.Open > 0 {
		parts = append(parts, fmt.Sprintf("%d still open", v.Open))
	}
	return strings.Join(parts, ", ")
}

// printEach is what became of each promise of an incident, for people.
func (p promises) printEach(w io.Writer, s style) {
	if len(p) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s %s\n", s.bold("Next updates that came when they were promised:"), keptWords(server.Kept(p), s))
	for _, x := range p {
		line := fmt.Sprintf("update %d promised the next one for %s: ", x.Seq, utc(x.Due))
		switch {
		case x.Outcome == dispatcher.PromiseOpen:
			line += "still open"
		case x.Outcome == dispatcher.PromiseKept:
			line += "kept, it was sent at " + utc(x.Sent)
		case x.Sent.IsZero():
			line += s.yellow("overdue")
		default:
			line += s.yellow("broken") + ", it was sent at " + utc(x.Sent)
		}
		fmt.Fprintf(w, "  %s\n", line)
	}
}
