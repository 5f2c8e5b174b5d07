package server

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	_ "embed"

	"sitrep/ledger"
)

// Exit is where the recipients of a channel sign off by themselves: an address that its
// messages carry in List-Unsubscribe, with a token for the recipient (RFC 8058). A POST
// signs off; a GET, which mail scanners make too, shows a page with a button.
type Exit struct {
	// Path is what comes before the token, such as "/u/"; or, with Param, the whole path
	// of an address that has the token in a parameter of that name.
	Path, Param string

	// Read is whom a token signs off, and false for one that was not made for this exit.
	Read func(token string) (channel, address string, ok bool)

	// Contact is an e-mail address that readers are shown, to ask. It may be empty.
	Contact string
}

// reserved are the beginnings of paths that mean something else.
var reserved = []string{"/api", "/metrics", "/healthz", "/readyz", "/c", "/p", "/i", "/history", "/history.atom"}

// Check reports that the exit's path would hide something else.
func (e Exit) Check() error {
	first := "/" + strings.SplitN(strings.TrimPrefix(e.Path, "/"), "/", 2)[0]
	switch {
	case !strings.HasPrefix(e.Path, "/"), e.Path == "/" && e.Param == "":
		return errors.New("it needs a path of its own, such as /u/")
	case slices.Contains(reserved, first):
		return fmt.Errorf("the path %s is used for something else; take another one, such as /u/", first)
	}
	return nil
}

// token is the token of a request to this exit.
func (e Exit) token(r *http.Request) (string, bool) {
	if e.Param != "" {
		return r.URL.Query().Get(e.Param), r.URL.Path == e.Path && r.URL.Query().Has(e.Param)
	}
	return strings.CutPrefix(r.URL.Path, e.Path)
}

// exits has requests to an exit answered there.
func (s *Server) exits(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		set := s.o.Setup()
		here := false
		for _, e := range set.Exits {
			token, ok := e.token(r)
			if !ok {
				continue
			}
			here = true
			if channel, address, ok := e.Read(token); ok {
				s.leaving(w, r, set, e, ledger.Suppression{Channel: channel, Address: address})
				return
			}
		}
		if here {
			s.strangerLeaves(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// The rates of one recipient, and of all who have no valid token together.
var (
	leaverRate   = Rate{PerMinute: 30, Burst: 10}
	strangerRate = Rate{PerMinute: 600, Burst: 100}
)

// strangerLeaves answers whatever is no token of ours in one way.
func (s *Server) strangerLeaves(w http.ResponseWriter, r *http.Request) {
	traceOf(r.Context()).path = exitPath
	if _, ok := s.limits.take("exit", strangerRate, s.o.Now()); !ok {
		showExit(w, r, http.StatusTooManyRequests, exitPage{State: "busy"})
		return
	}
	showExit(w, r, http.StatusNotFound, exitPage{State: "unknown"})
}

// exitPath stands in the log for the path, which holds an address.
const exitPath = "(a recipient's exit)"

// leaving answers whoever has a recipient's token.
func (s *Server) leaving(w http.ResponseWriter, r *http.Request, set Setup, e Exit, x ledger.Suppression) {
	traceOf(r.Context()).path = exitPath
	page := exitPage{Address: x.Address, Contact: e.Contact}
	status, state := s.leave(w, r, set, x)
	if page.State = state; status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD, POST")
	}
	showExit(w, r, status, page)
}

// leave does what a request asks for and returns what to answer.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, set Setup, x ledger.Suppression) (status int, state string) {
	post := r.Method == http.MethodPost
	if !post && r.Method != http.MethodGet && r.Method != http.MethodHead {
		return http.StatusMethodNotAllowed, "ask"
	}
	if _, ok := s.limits.take("exit "+suppressedAt(x.Channel, x.Address), leaverRate, s.o.Now()); !ok {
		return http.StatusTooManyRequests, "busy"
	}
	if concernOf(set.Parties, x.Channel, x.Address, principal{all: true}).required {
		if post {
			return http.StatusForbidden, "required"
		}
		return http.StatusOK, "required"
	}
	same, err := spellings(r.Context(), s.o.Ledger, x.Channel, x.Address)
	switch {
	case err != nil:
	case len(same) > 0:
		return http.StatusOK, "done" // for whatever reason: it stays
	case !post:
		return http.StatusOK, "ask"
	case !oneClick(w, r):
		return http.StatusBadRequest, "ask"
	default:
		err = s.signOff(r.Context(), x)
	}
	if err != nil {
		s.o.Log.Error("a recipient could not sign off", "request", traceOf(r.Context()).id, "channel", x.Channel, "error", err)
		return http.StatusServiceUnavailable, "busy"
	}
	return http.StatusOK, "done"
}

// signedOff is the reason of such a suppression.
const signedOff = "the recipient unsubscribed by the link in a message"

func (s *Server) signOff(ctx context.Context, x ledger.Suppression) error {
	x.Reason, x.At = signedOff, s.o.Now()
	if err := s.o.Ledger.Suppress(ctx, x); err != nil {
		return err
	}
	s.o.Log.Info("a recipient has unsubscribed", "request", traceOf(ctx).id, "channel", x.Channel)
	return nil
}

// mostForm bounds a form, which holds one field.
const mostForm = 8 << 10

// oneClick reads the form of RFC 8058 section 3.2: by mail programs as multipart or not,
// and the page's own.
func oneClick(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, mostForm)
	if err := r.ParseMultipartForm(mostForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return false
	}
	return r.PostForm.Get("List-Unsubscribe") == "One-Click"
}

// exitPage is what the page shows. State is ask, done, required, unknown or busy.
type exitPage struct {
	State, Address, Contact string
	Style                   template.CSS
}

//go:embed leave.html
var exitHTML string

//go:embed leave.css
var exitCSS string

var exitTemplate = template.Must(template.New("exit").Parse(exitHTML))

func showExit(w http.ResponseWriter, r *http.Request, status int, page exitPage) {
	page.Style = template.CSS(exitCSS) //nolint:gosec // it is ours
	sum := sha256.Sum256([]byte(exitCSS))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+
		"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "60")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_ = exitTemplate.Execute(w, page) // whoever asked may have gone
	}
}
