package statuspage

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/sync/singleflight"

	"sitrep/ledger"
)

// Options are what the pages need. Only Pages is required.
type Options struct {
	Pages ledger.Pages
	Title string // at the top of every page; empty: "Status". It is public: no customer's name

	// BaseURL is where readers reach the pages from outside, such as
	// "https://status.example.com"; its path is put before every link, and may but
	// need not be part of the requests that arrive. Empty: links in feeds are made
	// from the request.
	BaseURL string

	Now func() time.Time // nil: the system's clock
	Log *slog.Logger     // nil: silent. No token is ever logged
}

// site serves the pages.
type site struct {
	pages  ledger.Pages
	title  string
	base   string // without a slash at its end, or empty
	root   string // base's path: "" or "/status"
	now    func() time.Time
	log    *slog.Logger
	policy *bluemonday.Policy
	looks  looks
	mux    *http.ServeMux
	flight singleflight.Group
}

// New returns the pages as a handler, safe for concurrent use. It fails if BaseURL
// is not the address of a web site.
func New(o Options) (http.Handler, error) {
	base, err := url.Parse(strings.TrimRight(o.BaseURL, "/"))
	if err != nil || o.BaseURL != "" && !webSite(base) {
		return nil, errors.New("the status page's base URL is not the address of a web site: write scheme, host and perhaps a path, like https://status.example.com")
	}
	s := &site{
		pages: o.Pages, title: line(o.Title), base: base.String(), root: base.EscapedPath(),
		now: o.Now, log: o.Log, policy: newPolicy(), mux: http.NewServeMux(),
	}
	if s.title == "" {
		s.title = "Status"
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.looks, err = newLooks(); err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	s.routes()
	return s, nil
}

// webSite reports whether u is an address to which paths can be added.
func webSite(u *url.URL) bool {
	return u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func (s *site) routes() {
	finders := map[string]finder{"": s.front, "/p/{address}": s.open, "/c/{token}": s.held}
	for prefix, find := range finders {
		if prefix != "" {
			s.mux.HandleFunc(prefix, s.at(find, s.showPage))
		}
		s.mux.HandleFunc(prefix+"/{$}", s.at(find, s.showPage))
		s.mux.HandleFunc(prefix+"/history", s.at(find, s.showHistory))
		s.mux.HandleFunc(prefix+"/history.atom", s.at(find, s.showFeed))
		s.mux.HandleFunc(prefix+"/i/{incident}", s.at(find, s.showIncident))
	}
	s.mux.HandleFunc("/", s.notFound)
}

// ServeHTTP answers GET and HEAD.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, s.root); ok && s.root != "" && strings.HasPrefix(rest+"/", "/") {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = "/"+strings.TrimPrefix(rest, "/"), ""
	}
	s.protect(w.Header(), strings.HasPrefix(r.URL.Path, "/c/"))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.complain(w, r, http.StatusMethodNotAllowed)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// protect sets the headers that every answer has, errors included.
func (s *site) protect(h http.Header, private bool) {
	h.Set("Content-Security-Policy", s.looks.csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "public, no-cache")
	if private {
		h.Set("Cache-Control", "private, no-store")
		h.Set("X-Robots-Tag", "noindex, nofollow, noarchive")
	}
}

// place is a page as the reader has reached it.
type place struct {
	address string
	path    string // of the page, below the root: "", "/p/abc" or "/c/TOKEN"
	private bool   // reached by its token
}

// finder finds the page a request is about. ledger.ErrNotFound means there is none.
type finder func(r *http.Request) (place, error)

// shower answers with something of a page. The entries may all be shown.
type shower func(w http.ResponseWriter, r *http.Request, p place, entries []entry)

func (s *site) front(*http.Request) (place, error) { return place{address: publicAddress}, nil }

var addressForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (s *site) open(r *http.Request) (place, error) {
	address := r.PathValue("address")
	if !addressForm.MatchString(address) {
		return place{}, ledger.ErrNotFound
	}
	return place{address: address, path: "/p/" + address}, nil
}

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9]{16,128}$`)

// held finds a page by its token. The comparison does not trust the engine's: it
// is exact, and takes as long for a near miss as for a far one.
func (s *site) held(r *http.Request) (place, error) {
	token := r.PathValue("token")
	if !tokenForm.MatchString(token) {
		return place{}, ledger.ErrNotFound
	}
	page, err := s.pages.PageByToken(r.Context(), token)
	if err != nil {
		return place{}, err
	}
	if subtle.ConstantTimeCompare([]byte(page.Token), []byte(token)) != 1 {
		return place{}, ledger.ErrNotFound
	}
	return place{address: page.Address, path: "/c/" + token, private: true}, nil
}

// at makes a handler that finds a page, decides what of it this reader may see,
// and shows that.
func (s *site) at(find finder, show shower) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := find(r)
		if errors.Is(err, ledger.ErrNotFound) {
			s.notFound(w, r)
			return
		}
		if err == nil {
			var entries []entry
			if entries, err = s.load(r.Context(), p.address); err == nil {
				s.admit(w, r, p, entries, show)
				return
			}
		}
		s.log.ErrorContext(r.Context(), "the status page cannot be read", "page", p.address, "error", err)
		w.Header().Set("Retry-After", "5")
		s.complain(w, r, http.StatusServiceUnavailable)
	}
}

// admit is the firewall between what a page holds and who asks for it.
func (s *site) admit(w http.ResponseWriter, r *http.Request, p place, entries []entry, show shower) {
	switch {
	case p.private:
		show(w, r, p, forHolders(entries))
	case !forEverybody(entries):
		if p.address == publicAddress {
			s.log.ErrorContext(r.Context(), "the public page is withheld: it holds updates that are not for the public", "page", p.address)
		}
		s.notFound(w, r)
	case len(entries) == 0 && p.address != publicAddress:
		s.notFound(w, r)
	default:
		show(w, r, p, entries)
	}
}

// patience is how long a page may take to be read.
const patience = 10 * time.Second

// load reads a page's entries. Requests that come while it is being read share the
// reading; it goes on for them when the first of them gives up.
func (s *site) load(ctx context.Context, address string) ([]entry, error) {
	done := s.flight.DoChan(address, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		entries, broken, err := read(ctx, s.pages, address)
		if err != nil {
			return nil, err
		}
		for _, err := range broken {
			s.log.ErrorContext(ctx, "an entry of a status page is left out: it cannot be read", "page", address, "error", err)
		}
		return entries, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-done:
		if result.Err != nil {
			return nil, result.Err
		}
		entries, _ := result.Val.([]entry)
		return entries, nil
	}
}
