package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
	"sitrep/server"
)

// event is one server-sent event.
type event struct{ id, name, data string }

// reader reads events.
type reader struct {
	testing.TB
	body   io.ReadCloser
	cancel context.CancelFunc
	lines  *bufio.Scanner
}

// serve listens on the loopback interface, as the program does.
func (r *rig) serve() string {
	r.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.Fatal(err)
	}
	h := r.s.HTTP()
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := h.Shutdown(ctx); err != nil {
			r.Errorf("Shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			r.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

func (r *rig) listen(at, query, token string, opts ...option) *reader {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/api/v1/events"+query, nil)
	if err != nil {
		r.Fatal(err)
	}
	for _, o := range append(opts, as(token)) {
		o(q)
	}
	got, err := http.DefaultClient.Do(q) //nolint:bodyclose // reader.close does, at the end of the test
	if err != nil {
		r.Fatal(err)
	}
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(got.Body)
		r.Fatalf("events: %d %v %s", got.StatusCode, got.Header, b)
	}
	e := &reader{TB: r.TB, body: got.Body, cancel: cancel, lines: bufio.NewScanner(got.Body)}
	r.Cleanup(e.close)
	if first := e.next(); first.name != "hello" || first.id == "" {
		r.Fatalf("the first event is %+v", first)
	}
	return e
}

func (e *reader) close() {
	e.cancel()
	_ = e.body.Close()
}

// next is the next event, or an empty one at the end.
func (e *reader) next() event {
	var x event
	for e.lines.Scan() {
		name, value, _ := strings.Cut(e.lines.Text(), ": ")
		switch name {
		case "id":
			x.id = value
		case "event":
			x.name = value
		case "data":
			x.data = value
		case "":
			if x != (event{}) && x.name != "" {
				return x
			}
			x = event{}
		}
	}
	return event{}
}

// until reads events up to the n-th of a name.
func (e *reader) until(name string, n int) []event {
	e.Helper()
	timer := time.AfterFunc(20*time.Second, e.cancel)
	defer timer.Stop()
	var all []event
	for n > 0 {
		x := e.next()
		if x == (event{}) {
			e.Fatalf("the stream ended after %+v", all)
		}
		all = append(all, x)
		if x.name == name {
			n--
		}
	}
	return all
}

func TestEvents(t *testing.T) {
	r := newRig(t)
	at := r.serve()
	e := r.listen(at, "", r.viewer)
	r.work()
	theirs := r.sent(r.foreign, "globex", "The reactor is down.")
	r.settled(theirs)
	key := r.sent(r.author, "abc", "One.")
	got := e.until("delivery", 3)
	if got[0].name != "update" || !strings.Contains(got[0].data, key) || len(got) != 4 {
		t.Fatalf("events: %+v", got)
	}
	for i, x := range got {
		if x.id == "" || strings.Contains(x.data, "globex") || i > 0 && !strings.Contains(x.data, `"outcome":"delivered"`) {
			t.Errorf("event: %+v", x)
		}
	}
	t.Run("resume", func(t *testing.T) {
		again := r.listen(at, "", r.viewer, with("Last-Event-ID", got[1].id)).until("delivery", 2)
		if len(again) != 2 || again[0] != got[2] || again[1] != got[3] {
			t.Errorf("resumed: %+v", again)
		}
		query := r.listen(at, "?after="+got[2].id, r.viewer).until("delivery", 1)
		if query[0] != got[3] {
			t.Errorf("resumed by parameter: %+v", query)
		}
	})
	t.Run("filter", func(t *testing.T) {
		all := r.listen(at, "?after=0&update="+theirs, r.root).until("delivery", 2)
		for _, x := range all {
			if !strings.Contains(x.data, theirs) {
				t.Errorf("event of another update: %+v", x)
			}
		}
	})
	t.Run("forgotten", func(t *testing.T) {
		x := r.listen(at, "", r.viewer, with("Last-Event-ID", "99999")).until("reset", 1)
		if len(x) != 1 || x[0].id == "" {
			t.Errorf("events: %+v", x)
		}
	})
	t.Run("channel", func(t *testing.T) {
		c := r.listen(at, "", r.viewer)
		r.s.Event(dispatcher.Event{Kind: dispatcher.EventPaused, Channel: "mail", Fault: channels.RateLimited, Detail: "of hank@globex.example", Until: time.Now()})
		if x := c.until("channel", 1); !strings.Contains(x[0].data, `"channel":"mail","up":false`) || strings.Contains(x[0].data, "hank") {
			t.Errorf("event: %+v", x)
		}
	})
}

// TestEventsOfOthers: what another process does is seen as well, without its help.
func TestEventsOfOthers(t *testing.T) {
	r := newRig(t)
	e := r.listen(r.serve(), "", r.viewer)
	other := &rig{TB: t, ledger: r.ledger}
	a := ledger.Acceptance{
		Incident: ledger.Incident{ID: "INC-1", Customer: "abc", Status: "investigating", Seq: 1},
		Update:   ledger.Update{Key: "other", Incident: "INC-1", Customer: "abc", Seq: 1, Status: "investigating", Accepted: time.Now()},
	}
	if _, err := other.ledger.Accept(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if x := e.until("update", 1); !strings.Contains(x[0].data, `"other"`) {
		t.Errorf("events: %+v", x)
	}
}

// TestEventsEnd: a token that is revoked is no longer served, and a server that is
// drained ends its streams.
func TestEventsEnd(t *testing.T) {
	r := newRig(t)
	at := r.serve()
	e := r.listen(at, "", r.viewer)
	r.call("POST", "/api/v1/updates", text("abc", "One."), as(r.author)).is(http.StatusAccepted)
	e.until("update", 1)
	r.s.Drain()
	if x := e.next(); x != (event{}) {
		t.Errorf("an event after the end: %+v", x)
	}
	r.call("GET", "/api/v1/events", "", as(r.viewer)).is(http.StatusServiceUnavailable)
	r.call("POST", "/api/v1/updates", text("abc", "Two."), as(r.author)).is(http.StatusServiceUnavailable).has("shutting down")
	r.call("GET", "/api/v1/incidents", "", as(r.viewer)).is(http.StatusOK)
	if a := r.call("GET", "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("health: %d", a.status)
	}
}

// TestStreamsAreBounded: one too many is told when to come back.
func TestStreamsAreBounded(t *testing.T) {
	r := newRig(t, func(r *rig) { r.o.Streams = 2 })
	at := r.serve()
	r.listen(at, "", r.viewer)
	e := r.listen(at, "", r.viewer)
	a := r.call("GET", "/api/v1/events", "", as(r.viewer)).is(http.StatusServiceUnavailable)
	if a.header.Get("Retry-After") == "" {
		t.Errorf("headers: %v", a.header)
	}
	e.close()
	r.eventually("there is room again", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		q := httptest.NewRequestWithContext(ctx, "GET", "/api/v1/events", nil)
		as(r.viewer)(q)
		w := &cutting{ResponseRecorder: httptest.NewRecorder(), cut: cancel}
		r.s.ServeHTTP(w, q)
		return w.Code == http.StatusOK
	})
}

// cutting is a client that goes away as soon as it has heard something.
type cutting struct {
	*httptest.ResponseRecorder
	cut func()
}

func (c *cutting) Write(b []byte) (int, error) {
	defer c.cut()
	return c.ResponseRecorder.Write(b)
}

func TestManyClients(t *testing.T) {
	const clients = 1000
	r := newRig(t, func(r *rig) { r.o.Rate = server.Rate{PerMinute: 1_000_000, Burst: 100_000} })
	r.work()
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			q := httptest.NewRequest(http.MethodGet, "/api/v1/incidents", nil)
			want := http.StatusOK
			switch n % 10 {
			case 0:
				q = httptest.NewRequest(http.MethodPost, "/api/v1/updates?incident=new", strings.NewReader(text("abc", fmt.Sprint("Number ", n))))
				q.Header.Set("Content-Type", "text/markdown")
				want = http.StatusAccepted
			case 1, 2:
				q = httptest.NewRequest(http.MethodGet, "/api/v1/deliveries?limit=5", nil)
			}
			as(r.author)(q)
			w := httptest.NewRecorder()
			r.s.ServeHTTP(w, q)
			if w.Code != want {
				t.Errorf("%s: %d %s", q.URL, w.Code, w.Body)
			}
		})
	}
	wg.Wait()
	tallies, err := r.ledger.Tally(t.Context(), ledger.DeliveryQuery{})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, x := range tallies {
		total += x.Count
	}
	if total != clients/10*3 {
		t.Errorf("%d deliveries, want %d", total, clients/10*3)
	}
}

// TestSlowSender: a request that does not arrive whole does nothing.
func TestSlowSender(t *testing.T) {
	r := newRig(t)
	at := strings.TrimPrefix(r.serve(), "http://")
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /api/v1/updates HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/markdown\r\nContent-Length: 100\r\n\r\nhalf", r.author)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	got, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("half a body: %d", got.StatusCode)
	}
	if n := r.changes(); n != 0 {
		t.Errorf("half an update made %d changes", n)
	}
}
