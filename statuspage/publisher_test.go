package statuspage_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/page"
	"sitrep/ledger"
	"sitrep/statuspage"
)

// The channel finds the publisher by its methods.
var _ page.Publisher = (*statuspage.Publisher)(nil)

const site = "https://status.example.com"

func (w *world) publisher() *statuspage.Publisher {
	return statuspage.NewPublisher(w.ledger, site, func() time.Time { return w.now })
}

func TestPublishShowsAndLinks(t *testing.T) {
	w := newWorld(t, "")
	p := w.publisher()
	for _, tt := range []struct{ address, audience, prefix string }{
		{"public", "public", site + "/i/"}, {"europe", "public", site + "/p/europe/i/"}, {"abc", "customer", ""}, {"ops", "internal", ""},
	} {
		u := as(tt.audience, report("x", 1, "identified", 1))
		path, err := p.Publish(t.Context(), "key-"+tt.address, tt.address, encode(t, u))
		if err != nil {
			t.Fatal(err)
		}
		if (tt.prefix == "") != (path == "") || !strings.HasPrefix(path, tt.prefix) {
			t.Errorf("%s: path %q", tt.address, path)
		}
		again, found, err := p.Published(t.Context(), "key-"+tt.address, tt.address)
		if err != nil || !found || again != path {
			t.Errorf("%s: found %v at %q (%v)", tt.address, found, again, err)
		}
		where, anchor, _ := strings.Cut(strings.TrimPrefix(path, site), "#")
		if path == "" {
			where = "/c/" + w.token(tt.address)
		}
		code, body := w.get(where)
		if code != http.StatusOK || !strings.Contains(body, "at step 1") || anchor != "" && !strings.Contains(body, `id="`+anchor+`"`) {
			t.Errorf("%s is not to be seen at %s (%d)", tt.address, where, code)
		}
	}
	mixed := encode(t, report("y", 1, "identified", 1))
	if path, err := p.Publish(t.Context(), "key-mixed", "abc", mixed); path != "" || err != nil {
		t.Errorf("a page with entries for customers is linked as a public one: %q (%v)", path, err)
	}
	if _, found, err := p.Published(t.Context(), "key-abc", "public"); found || err != nil {
		t.Errorf("an entry of one page is found on another (%v)", err)
	}
	if _, found, err := p.Published(t.Context(), "nothing", "abc"); found || err != nil {
		t.Errorf("found what is not there (%v)", err)
	}
}

func TestPublishTwiceShowsOnce(t *testing.T) {
	w := newWorld(t, "")
	p := w.publisher()
	u := encode(t, report("x", 1, "identified", 1))
	for range 3 {
		if _, err := p.Publish(t.Context(), "k", "public", u); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Hour)
	}
	if n := entriesOf(t, w, "public"); n != 1 {
		t.Errorf("%d entries", n)
	}
	e, err := w.ledger.Entry(t.Context(), "k")
	if err != nil || !e.At.Equal(evening) {
		t.Errorf("publishing the same again moved it to %v (%v)", e.At, err)
	}
	corrected := report("x", 1, "identified", 1)
	corrected.Title = "Corrected"
	if _, err := p.Publish(t.Context(), "k", "public", encode(t, corrected)); err != nil {
		t.Fatal(err)
	}
	if e, err = w.ledger.Entry(t.Context(), "k"); err != nil || e.At.Equal(evening) {
		t.Errorf("a correction leaves the time of publication at %v (%v): feed readers miss it", e.At, err)
	}
	if _, body := w.get("/"); strings.Count(body, "at step 1") != 1 || !strings.Contains(body, "Corrected") {
		t.Error("the correction is not shown once")
	}
}

func TestPublishRefusesWhatReadersMayNotSee(t *testing.T) {
	tests := []struct {
		name, address string
		u             channels.PageUpdate
		want          channels.Fault
		says          string
	}{
		{"customer on public", "public", as("customer", report("y", 1, "identified", 1)), channels.Rejected, "another address"},
		{"internal on public", "public", as("internal", report("y", 1, "identified", 1)), channels.Rejected, "another address"},
		{"internal on a customer's", "abc", as("internal", report("y", 1, "identified", 1)), channels.Rejected, "another address"},
		{"internal on a public one", "europe", as("internal", report("y", 1, "identified", 1)), channels.Rejected, "another address"},
		{"internal on its own", "ops", as("internal", report("y", 1, "identified", 1)), "", ""},
		{"customer on a new one", "new", as("customer", report("y", 1, "identified", 1)), "", ""},
		{"no audience", "abc", as("", report("y", 1, "identified", 1)), channels.Rejected, "audience"},
		{"no status", "abc", as("customer", report("y", 1, "fine", 1)), channels.Rejected, "status"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "")
			w.put("abc", as("customer", report("x", 1, "identified", 1)))
			w.put("europe", report("x", 1, "identified", 1))
			w.put("ops", as("internal", report("x", 1, "identified", 1)))
			before := entriesOf(t, w, tt.address)
			_, err := w.publisher().Publish(t.Context(), "k", tt.address, encode(t, tt.u))
			if f, _ := channels.FaultOf(err); f != tt.want {
				t.Fatalf("fault %q (%v), want %q", f, err, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.says) || entriesOf(t, w, tt.address) != before) {
				t.Errorf("refused, but published or unclear: %v", err)
			}
		})
	}
}

// flaky is a ledger that fails before or in the middle of writing.
type flaky struct {
	ledger.Pages
	before, during error
}

func (f flaky) Entry(ctx context.Context, key string) (ledger.PageEntry, error) {
	if f.before != nil {
		return ledger.PageEntry{}, f.before
	}
	return f.Pages.Entry(ctx, key)
}

func (f flaky) Publish(context.Context, ledger.PageEntry) error { return f.during }

// TestThroughTheChannel is the whole way, from the message to the page, with the
// channel's own code: the faults are those the dispatcher decides by.
func TestThroughTheChannel(t *testing.T) {
	w := newWorld(t, "")
	failing := errors.New("commit failed")
	tests := []struct {
		name  string
		pages ledger.Pages
		want  channels.Fault
	}{
		{"works", w.ledger, ""},
		{"certainly not kept", flaky{Pages: w.ledger, before: failing}, channels.Unavailable},
		{"perhaps kept", flaky{Pages: w.ledger, during: failing}, channels.Ambiguous},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ch, err := page.New(func(any) error { return nil }, channels.Env{ID: "page", Pages: statuspage.NewPublisher(tt.pages, site, nil)})
			if err != nil {
				t.Fatal(err)
			}
			u := encode(t, report("x", 1, "identified", 1))
			r, err := ch.Send(t.Context(), channels.Envelope{
				Key: "the-key-of-" + tt.name, To: channels.Recipient{Address: "public"},
				Message: channels.Message{Format: channels.FormatPage, Payload: u},
			})
			if f, _ := channels.FaultOf(err); f != tt.want {
				t.Errorf("fault %q (%v), want %q", f, err, tt.want)
			}
			if tt.want == "" && !strings.HasPrefix(r.Permalink, "https://status.example.com/i/") {
				t.Errorf("receipt %+v", r)
			}
			if tt.want != "" && !errors.Is(err, failing) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	w := newWorld(t, "")
	w.put("europe", report("x", 1, "identified", 1))
	w.put("abc", as("customer", report("x", 1, "identified", 1)))
	links, err := statuspage.Links(t.Context(), w.ledger, "https://status.example.com/", "public", "europe", "abc", "new")
	if err != nil {
		t.Fatal(err)
	}
	want := []statuspage.Link{
		{Address: "public", URL: "https://status.example.com/", Open: true},
		{Address: "europe", URL: "https://status.example.com/p/europe", Open: true},
		{Address: "abc", URL: "https://status.example.com/c/" + w.token("abc")},
		{Address: "new", URL: "https://status.example.com/c/" + w.token("new")},
	}
	for i := range want {
		if links[i] != want[i] {
			t.Errorf("link %+v, want %+v", links[i], want[i])
		}
		if code, _ := w.get(strings.TrimPrefix(links[i].URL, "https://status.example.com")); code != http.StatusOK {
			t.Errorf("%s leads to %d", links[i].URL, code)
		}
	}
}

func TestNewRefusesABaseURLThatIsNone(t *testing.T) {
	for _, base := range []string{"status.example.com", "ftp://x.example", "https://", "https://me:pw@x.example", "https://x.example/?a", "://"} {
		_, err := statuspage.New(statuspage.Options{BaseURL: base})
		if err == nil || !strings.Contains(err.Error(), "https://status.example.com") || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: error %v", base, err)
		}
	}
}
