package statuspage

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

//go:embed templates
var files embed.FS

// looks are the templates, the style and the policy that allows this style only.
type looks struct {
	pages map[string]*template.Template
	style template.HTML
	csp   string
}

func newLooks() (looks, error) {
	css, err := files.ReadFile("templates/style.css")
	if err != nil {
		return looks{}, err
	}
	layout, err := template.ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return looks{}, err
	}
	layout.Option("missingkey=error")
	sum := sha256.Sum256(css)
	l := looks{
		pages: map[string]*template.Template{},
		style: template.HTML("<style>" + string(css) + "</style>"), // embedded
		csp: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}
	for _, name := range []string{"page", "history", "incident", "sorry"} {
		t, err := template.Must(layout.Clone()).ParseFS(files, "templates/"+name+".html")
		if err != nil {
			return looks{}, err
		}
		l.pages[name] = t
	}
	return l, nil
}

// frame is what is around every page.
type frame struct {
	Head    string // the document's title
	Site    string // what stands at the top
	Style   template.HTML
	Path    string // of the page, with the root: "", "/status/c/TOKEN"
	Home    string // the same, never empty
	Feed    bool   // there is a feed to offer
	Private bool
	Alarm   bool   // something is open
	Made    stamp  // when this was made
	Reload  string // "on", "off", or empty where there is nothing to reload for
}

func (s *site) frame(p place, head string, made stamp) frame {
	path := s.root + p.path
	home := path
	if p.path == "" {
		home += "/"
	}
	return frame{Head: head + " – " + s.title, Site: s.title, Style: s.looks.style, Path: path, Home: home, Feed: true, Private: p.private, Made: made}
}

// html answers with a page.
func (s *site) html(w http.ResponseWriter, r *http.Request, status int, name string, view any) {
	var body bytes.Buffer
	if err := s.looks.pages[name].ExecuteTemplate(&body, "layout.html", view); err != nil {
		s.log.ErrorContext(r.Context(), "the status page cannot be made", "template", name, "error", err)
		http.Error(w, "This page cannot be made at the moment. Please try again in a minute.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if status != http.StatusOK {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = w.Write(body.Bytes()) // the reader may have gone
		return
	}
	serve(w, r, time.Time{}, body.Bytes())
}

// serve answers with a body, or with 304 to whoever has it already. A page has no
// modification time, for what it says of the time that has passed changes without
// any update; its ETag is made of all it says.
func serve(w http.ResponseWriter, r *http.Request, modified time.Time, body []byte) {
	sum := sha256.Sum256(body)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", modified, bytes.NewReader(body))
}

func (s *site) notFound(w http.ResponseWriter, r *http.Request) {
	s.complain(w, r, http.StatusNotFound)
}

// sorry is a page that says why there is no other.
type sorry struct {
	frame
	Title, Why, Next string
}

// complain answers with an error in words. It says the same whatever was not
// found, so that nobody learns which pages there are.
func (s *site) complain(w http.ResponseWriter, r *http.Request, status int) {
	v := sorry{}
	switch status {
	case http.StatusNotFound:
		v.Title, v.Why = "This page does not exist", "The link may have been mistyped or cut short, or replaced by a new one."
		v.Next = "If somebody gave it to you, ask them for the link as it is now."
	case http.StatusMethodNotAllowed:
		v.Title, v.Why = "This page can only be read", fmt.Sprintf("It takes no %.10q requests.", r.Method)
		v.Next = "Open it in a browser or a feed reader."
	default:
		v.Title, v.Why = "This page cannot be read at the moment", "The records behind it do not answer. This says nothing about any incident."
		v.Next = "Please try again in a few seconds."
	}
	v.frame = s.frame(place{}, v.Title, stamp{})
	v.Feed = false
	s.html(w, r, status, "sorry", v)
}
