package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/server"
)

// A token that is revoked while its holder reads events hears nothing of what happens
// more than a second later, though the stream was open before.
func TestEventsOfRevokedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		heard := r.stream(r.viewer)
		r.sent(r.author, "abc", "One.")
		time.Sleep(time.Second) // others are woken by the ledger's changes, or look once a second
		if got := heard.text(); !strings.Contains(got, "event: update") {
			t.Fatalf("nothing is heard at all: %q", got)
		}
		r.revoke(r.viewer)
		time.Sleep(time.Second)
		before := heard.text()
		r.sent(r.author, "abc", "Two.")
		time.Sleep(5 * time.Second)
		if got := heard.text(); got != before {
			t.Errorf("a revoked token heard %q", strings.TrimPrefix(got, before))
		}
		if !heard.over() {
			t.Error("its stream goes on")
		}
	})
}

// A reader that takes nothing is let go after ten seconds and gives its place to others.
func TestSlowReaderIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.o.Streams = 1
		r.again()
		reader := r.connect("GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + r.viewer + "\r\n\r\n")
		if line, err := reader.ReadString('\n'); err != nil || !strings.Contains(line, "200") {
			t.Fatalf("%q, %v", line, err)
		}
		r.call("GET", "/api/v1/events", "", as(r.viewer)).is(http.StatusServiceUnavailable)
		time.Sleep(9 * time.Second) // it has taken the first line, and no more
		r.call("GET", "/api/v1/events", "", as(r.viewer)).is(http.StatusServiceUnavailable)
		time.Sleep(2 * time.Second)
		heard := r.stream(r.viewer)
		time.Sleep(time.Second)
		if got := heard.text(); !strings.Contains(got, "event: hello") {
			t.Errorf("its place is still taken: %q", got)
		}
	})
}

// again makes the server anew after a change of its options.
func (r *rig) again() {
	r.Helper()
	var err error
	if r.s, err = server.New(r.o); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) revoke(token string) {
	r.Helper()
	all, err := r.ledger.Tokens(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	for _, x := range all {
		if strings.Contains(token, x.ID) {
			if err := r.ledger.RevokeToken(r.Context(), x.ID, r.clock.Now()); err != nil {
				r.Fatal(err)
			}
			return
		}
	}
	r.Fatal("the token is not in the ledger")
}

// hearing is what a reader of events has heard.
type hearing struct {
	*httptest.ResponseRecorder
	log  *lines
	done chan struct{}
}

func (h *hearing) Write(b []byte) (int, error)       { return h.log.Write(b) }
func (h *hearing) WriteString(s string) (int, error) { return h.log.Write([]byte(s)) }
func (h *hearing) Flush()                            {}
func (h *hearing) text() string                      { return h.log.String() }

func (h *hearing) over() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// stream reads events within this process until the test is over.
func (r *rig) stream(token string) *hearing {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	q := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/events", http.NoBody)
	as(token)(q)
	h := &hearing{httptest.NewRecorder(), &lines{}, make(chan struct{})}
	go func() {
		defer close(h.done)
		r.s.ServeHTTP(h, q)
	}()
	r.Cleanup(func() {
		cancel()
		<-h.done
	})
	synctest.Wait()
	return h
}

// connect opens a connection to the server that has no room for what nobody reads, and
// sends a request.
func (r *rig) connect(request string) *bufio.Reader {
	r.Helper()
	here, there := net.Pipe()
	l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- there
	h := r.s.HTTP()
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(l) }()
	r.Cleanup(func() {
		_ = here.Close()
		_ = h.Close()
		if err := <-ended; err == nil {
			r.Error("Serve ended without having been closed")
		}
	})
	if _, err := io.WriteString(here, request); err != nil {
		r.Fatal(err)
	}
	return bufio.NewReaderSize(here, 16)
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	close(l.closed)
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
