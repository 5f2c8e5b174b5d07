package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/statuspage"
)

// drawPage is the status page with nothing on it but this update (JSON of
// channels.PageUpdate), made by the status page itself.
func drawPage(payload []byte, in scene) (string, error) {
	var u channels.PageUpdate
	if err := json.Unmarshal(payload, &u); err != nil {
		return "", fmt.Errorf("draw the status page: %w", err)
	}
	site, err := statuspage.New(statuspage.Options{
		Pages: onePage{payload: payload, at: u.At}, Title: in.title, Now: func() time.Time { return in.now },
	})
	if err != nil {
		return "", fmt.Errorf("draw the status page: %w", err)
	}
	path := "/c/" + onlyToken
	if u.Audience == string(incident.Public) {
		path = "/"
	}
	return document(site, path)
}

// document asks a handler for a page, as a browser would.
func document(h http.Handler, path string) (string, error) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("draw the page: %w", err)
	}
	w := &answer{status: http.StatusOK, header: http.Header{}}
	h.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return "", fmt.Errorf("draw the page: it answered %d", w.status)
	}
	return w.body.String(), nil
}

// answer is a handler's answer, in memory.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements [http.ResponseWriter].
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// onlyToken is the token of the only page there is in a onePage.
const onlyToken = "previewpreviewpreviewpreview"

// onePage is a status page's store with one update on every page. It is read only.
type onePage struct {
	payload []byte
	at      time.Time
}

// Publish implements [ledger.Pages].
func (p onePage) Publish(context.Context, ledger.PageEntry) error {
	return errors.New("a preview keeps nothing")
}

// Entry implements [ledger.Pages].
func (p onePage) Entry(context.Context, string) (ledger.PageEntry, error) {
	return ledger.PageEntry{}, ledger.ErrNotFound
}

// Entries implements [ledger.Pages].
func (p onePage) Entries(_ context.Context, page string, _ time.Time) ([]ledger.PageEntry, error) {
	return []ledger.PageEntry{{Key: "preview", Page: page, At: p.at, Payload: p.payload}}, nil
}

// Page implements [ledger.Pages].
func (p onePage) Page(_ context.Context, address string) (ledger.Page, error) {
	return ledger.Page{Address: address, Token: onlyToken}, nil
}

// PageByToken implements [ledger.Pages].
func (p onePage) PageByToken(_ context.Context, token string) (ledger.Page, error) {
	return ledger.Page{Address: "preview", Token: token}, nil
}
