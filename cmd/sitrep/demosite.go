package main

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/channels/mattermost/mmfake"
	"sitrep/incident"
	"sitrep/ledger"
)

// demoSite is the page on which all of the demonstration can be seen. Everything is
// read at the moment of the request, so what somebody sends later shows too.
type demoSite struct {
	st    *stage
	house *house
	home  *template.Template
	mail  *template.Template
}

// serve serves the chat's API, the status pages and the page with everything until
// the stage is closed. What ends it before comes through the channel.
func (st *stage) serve(h *house, log *slog.Logger) (<-chan error, error) {
	site, err := newDemoSite(st, h)
	if err != nil {
		return nil, err
	}
	st.web = &http.Server{
		Handler: site, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError),
	}
	ended := make(chan error, 1)
	go func() { ended <- st.web.Serve(st.ln) }()
	return ended, nil
}

func newDemoSite(st *stage, h *house) (http.Handler, error) {
	d := &demoSite{st: st, house: h}
	var err error
	if d.home, err = galleryTemplate("demo.html"); err != nil {
		return nil, err
	}
	if d.mail, err = galleryTemplate("mail.html"); err != nil {
		return nil, err
	}
	pages, err := st.statusPages(h)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/v4/", st.chat)
	mux.Handle("/status", pages)
	mux.Handle("/status/", pages)
	mux.Handle("GET /metrics", h.metrics.Handler())
	mux.HandleFunc("GET /"+demoTeam+"/pl/{post}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/#post-"+r.PathValue("post"), http.StatusFound)
	})
	mux.HandleFunc("GET /mail/{n}", d.showMail)
	mux.HandleFunc("GET /mail/{n}/source", d.showSource)
	mux.HandleFunc("GET /{$}", d.showHome)
	return mux, nil
}

// demoView is the page with everything.
type demoView struct {
	Updates []account // newest first
	Sources []string  // beside them
	Mails   []mailRow // newest first
	Drawn   []drawnMail
	Rooms   []roomView
	Pages   []shownPage
	Tries   []try
}

// mailRow is one line of the mailbox.
type mailRow struct {
	N                 int // from 1
	Subject, To, Time string
	Audience          string
	address           string
}

// drawnMail is a mail that is shown at once.
type drawnMail struct {
	mailRow
	View *mailView
}

func (d *demoSite) showHome(w http.ResponseWriter, r *http.Request) {
	v, err := d.view(r.Context())
	if err != nil {
		http.Error(w, "This page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	respond(w, d.home, v)
}

func (d *demoSite) view(ctx context.Context) (demoView, error) {
	var v demoView
	updates, err := d.house.ledger.Updates(ctx, ledger.UpdateQuery{})
	if err != nil {
		return v, fmt.Errorf("read the ledger: %w", err)
	}
	audience := map[string]string{}
	for _, u := range updates {
		acc, err := readAccount(ctx, d.house.ledger, u, true)
		if err != nil {
			return v, err
		}
		for _, r := range acc.Recipients {
			audience[r.Address] = r.Audience
		}
		v.Updates, v.Sources = append(v.Updates, acc), append(v.Sources, u.Source)
		v.Tries = d.st.tries(u.Incident)
	}
	if err := v.fillMail(d.st.mail.mailbox(), audience); err != nil {
		return v, err
	}
	v.Rooms = drawRooms(d.st.chat.Posts())
	v.Pages, err = d.st.pages(ctx, d.house)
	return v, err
}

// fillMail lists the mailbox and draws, for each audience, the newest mail of the
// recipient who comes first by address.
func (v *demoView) fillMail(mailbox []received, audience map[string]string) error {
	drawn := map[string]drawnMail{}
	for i, m := range slices.Backward(mailbox) {
		view, err := m.view()
		if err != nil {
			return err
		}
		row := mailRow{N: i + 1, Subject: view.Subject, To: view.To, Time: m.At.UTC().Format("15:04:05 UTC"), Audience: audience[m.To], address: m.To}
		v.Mails = append(v.Mails, row)
		if d, ok := drawn[row.Audience]; !ok || row.address < d.address {
			drawn[row.Audience] = drawnMail{row, &view}
		}
	}
	for _, a := range []incident.Audience{incident.Customer, incident.Public, incident.Internal} {
		if d, ok := drawn[string(a)]; ok {
			v.Drawn = append(v.Drawn, d)
		}
	}
	return nil
}

// drawRooms draws every room with its threads.
func drawRooms(posts []mmfake.Post) []roomView {
	notes := map[string]string{demoInside: "our own people", demoShared: "shared with the customer"}
	c := newChatter()
	var rooms []roomView
	for _, room := range []string{demoInside, demoShared} {
		r := roomView{Name: "~" + room, Note: notes[room]}
		for _, p := range posts {
			if p.Room != room || p.Deleted {
				continue
			}
			r.Posts = append(r.Posts, postView{
				ID: p.ID, From: p.From, Time: p.Created.UTC().Format("15:04 UTC"), Priority: p.Priority,
				Edited: !p.Edited.IsZero(), Reply: p.Root != "", Body: c.markdown(p.Text), Boxes: c.boxes(p.Attachments),
			})
		}
		rooms = append(rooms, r)
	}
	return rooms
}

// message is the received message that a request names.
func (d *demoSite) message(r *http.Request) (received, int, bool) {
	all := d.st.mail.mailbox()
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 1 || n > len(all) {
		return received{}, 0, false
	}
	return all[n-1], n, true
}

func (d *demoSite) showMail(w http.ResponseWriter, r *http.Request) {
	m, n, ok := d.message(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	view, err := m.view()
	if err != nil {
		http.Error(w, "This mail cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	head, _, _ := strings.Cut(strings.ReplaceAll(string(m.Raw), "\r\n", "\n"), "\n\n")
	respond(w, d.mail, map[string]any{"N": n, "View": &view, "Headers": head, "Time": m.At.UTC().Format("15:04:05 UTC")})
}

func (d *demoSite) showSource(w http.ResponseWriter, r *http.Request) {
	m, _, ok := d.message(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	protect(w.Header())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(m.Raw) // the reader may have gone
}

// protect sets the headers of every answer of the demo's own.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", galleryCSP+"; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

func respond(w http.ResponseWriter, t *template.Template, v any) {
	var page bytes.Buffer
	if err := t.Execute(&page, v); err != nil {
		http.Error(w, "This page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	protect(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(page.Bytes()) // the reader may have gone
}

// Got reports whether a recipient got the update: for the page.
func (r recipient) Got() bool { return r.Outcome == string(ledger.Delivered) }

// Bar is a channel's account as shares of a whole, for the page.
func (c channelSum) Bar() (b struct{ Delivered, Rest int }) {
	b.Delivered = c.Outcomes[ledger.Delivered]
	b.Rest = c.Total - b.Delivered
	return b
}

// AudienceWords says who an audience is.
func (m mailRow) AudienceWords() string { return audienceWords(incident.Audience(m.Audience)) }
