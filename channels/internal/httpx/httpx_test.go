package httpx_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

const token = "xoxb-Very/Secret+Token"

func client() *httpx.Client {
	return httpx.New(httpx.Options{Agent: "sitrep/test", MaxBody: 1 << 10, Secrets: []secret.String{secret.New(token)}})
}

func say(w io.Writer, s string) { _, _ = io.WriteString(w, s) }

// raw is a server that handles connections by hand, after reading one request.
func raw(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, req.Body)
					answer(conn)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

func TestHostileServers(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	tests := map[string]struct {
		answer func(net.Conn)
		create channels.Fault // of a request that creates something
		safe   channels.Fault
	}{
		"reset after the request": {reset, channels.Ambiguous, channels.Unavailable},
		"closes without a word":   {func(net.Conn) {}, channels.Ambiguous, channels.Unavailable},
		"hangs":                   {func(net.Conn) { <-hang }, channels.Ambiguous, channels.Unavailable},
		"half a status line":      {func(c net.Conn) { say(c, "HTTP/1.1 20") }, channels.Ambiguous, channels.Unavailable},
		"not HTTP":                {func(c net.Conn) { say(c, "220 mail ESMTP\r\n") }, channels.Ambiguous, channels.Unavailable},
		"lying length": {func(c net.Conn) {
			say(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok")
		}, channels.Ambiguous, channels.Unavailable},
		"slow body": {func(c net.Conn) {
			say(c, "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\no")
			<-hang
		}, channels.Ambiguous, channels.Unavailable},
		"giant body": {func(c net.Conn) {
			say(c, "HTTP/1.1 200 OK\r\n\r\n")
			for range 100 {
				say(c, strings.Repeat("x", 1<<10))
			}
		}, channels.Ambiguous, channels.Unavailable},
		"giant header": {func(c net.Conn) {
			say(c, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		}, channels.Ambiguous, channels.Unavailable},
		"slow refusal": {func(c net.Conn) {
			say(c, "HTTP/1.1 422 No\r\nContent-Length: 9\r\n\r\nno")
			<-hang
		}, channels.Rejected, channels.Rejected},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			base := raw(t, tt.answer)
			for _, safe := range []bool{false, true} {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				err := do(ctx, base+"/hooks/"+url.PathEscape(token), safe)
				cancel()
				want := map[bool]channels.Fault{false: tt.create, true: tt.safe}[safe]
				check(t, err, want)
			}
		})
	}
}

func TestAnEndlessBodyIsReadUpToTheLimit(t *testing.T) {
	base := raw(t, func(c net.Conn) {
		say(c, "HTTP/1.1 400 No\r\n\r\n")
		for {
			if _, err := io.WriteString(c, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r, err := client().Do(ctx, httpx.Request{URL: base})
	if err != nil || len(r.Body) != 1<<10 || !r.Broken {
		t.Errorf("%d bytes, broken %v, %v", len(r.Body), r.Broken, err)
	}
	if ctx.Err() != nil {
		t.Error("it was read until the time limit")
	}
}

// do sends and wants a complete 2xx.
func do(ctx context.Context, url string, safe bool) error {
	r, err := client().Do(ctx, httpx.Request{URL: url, Body: []byte(`{"text":"x"}`), Safe: safe})
	if err != nil {
		return err
	}
	if !r.OK() {
		return r.Fail("")
	}
	return nil
}

func check(t *testing.T, err error, want channels.Fault) {
	t.Helper()
	if got, _ := channels.FaultOf(err); got != want {
		t.Errorf("fault %q, want %q (%v)", got, want, err)
	}
	for _, form := range []string{token, url.PathEscape(token), url.QueryEscape(token), "/hooks/"} {
		if s := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(s, form) {
			t.Errorf("%q shows in %s", form, s)
		}
	}
}

func TestBeforeTheRequestLeft(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	tlsServer := httptest.NewTLSServer(http.NotFoundHandler())
	defer tlsServer.Close()
	tlsServer.Config.ErrorLog = nil
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	tests := []struct{ name, url, says string }{
		{"refused", closed.URL, "connection refused"},
		{"no such name", "http://nobody.invalid", "name cannot be resolved"},
		{"certificate", tlsServer.URL, "certificate is not signed by an authority"},
		{"https to http", strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := do(t.Context(), tt.url+"/hooks/"+url.PathEscape(token), false)
			check(t, err, channels.Unavailable)
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
		})
	}
	for _, bad := range []string{"", "chat.example.com/hooks/" + token, "ftp://x/hooks/" + token, "http://a b/hooks/" + token, "://hooks/"} {
		check(t, do(t.Context(), bad, false), channels.Rejected)
	}
}

func TestCancelledBeforeAndWhile(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := do(ctx, "http://127.0.0.1:1/hooks/x", false)
	check(t, err, channels.Unavailable)
	if err == nil || !strings.Contains(err.Error(), "called off") {
		t.Errorf("err = %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var followed atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/hooks/"+url.PathEscape(token), status)
		}))
		err := do(t.Context(), srv.URL, false)
		check(t, err, channels.Rejected)
		if !strings.Contains(err.Error(), elsewhere.URL) {
			t.Errorf("%d: the error does not say where it would go: %v", status, err)
		}
		var x httpx.Exchange
		got, err := client().Foreign(t.Context(), &x).Post(srv.URL, "text/plain", strings.NewReader("x"))
		if err != nil || got.StatusCode != status {
			t.Errorf("a foreign library saw %v, %v", got, err)
		} else {
			got.Body.Close()
		}
		srv.Close()
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("%d redirects followed", n)
	}
}

func TestStatus(t *testing.T) {
	want := map[int][2]channels.Fault{ // create, safe
		200: {}, 204: {},
		400: {channels.Rejected, channels.Rejected}, 401: {channels.Unauthorized, channels.Unauthorized},
		403: {channels.Unauthorized, channels.Unauthorized}, 404: {channels.Rejected, channels.Rejected},
		408: {channels.Unavailable, channels.Unavailable}, 409: {channels.Rejected, channels.Rejected},
		410: {channels.Rejected, channels.Rejected}, 413: {channels.Rejected, channels.Rejected},
		425: {channels.Unavailable, channels.Unavailable}, 429: {channels.RateLimited, channels.RateLimited},
		500: {channels.Ambiguous, channels.Unavailable}, 501: {channels.Rejected, channels.Rejected},
		502: {channels.Ambiguous, channels.Unavailable}, 503: {channels.Unavailable, channels.Unavailable},
		504: {channels.Ambiguous, channels.Unavailable}, 507: {channels.Rejected, channels.Rejected},
	}
	for status, w := range want {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if status != 204 {
				fmt.Fprintf(w, "{\"echo\":%q}\x00\r\n  \u202e and more", token)
			}
		}))
		check(t, do(t.Context(), srv.URL, false), w[0])
		err := do(t.Context(), srv.URL, true)
		check(t, err, w[1])
		if err != nil && (strings.ContainsAny(err.Error(), "\r\n\x00\u202e") || !strings.Contains(err.Error(), "[secret]")) {
			t.Errorf("%d: the remote side's words are not tidied: %q", status, err)
		}
		srv.Close()
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		say(w, strings.Repeat("x", 1000))
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	c := client()
	defer c.Close()
	for range 20 {
		if r, err := c.Do(t.Context(), httpx.Request{URL: srv.URL}); err != nil || len(r.Body) != 1000 {
			t.Fatal(len(r.Body), err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("20 requests opened %d connections", n)
	}
}

func TestForeignLibrary(t *testing.T) {
	var agent atomic.Value
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent.Store(r.UserAgent())
		switch r.URL.Path {
		case "/hang":
			select {
			case <-hang:
			case <-time.After(3 * time.Second): // so that a mistake fails and does not hang
			}
		default:
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			say(w, "slow down")
		}
	}))
	defer srv.Close()
	defer close(hang)
	var x httpx.Exchange
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	got, err := client().Foreign(ctx, &x).Get(srv.URL) // knows nothing of ctx
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, _ := io.ReadAll(got.Body)
	n, r, _ := x.Last()
	if n != 1 || r.Status != 429 || r.RetryAfter != 7*time.Second || string(body) != "slow down" {
		t.Errorf("saw %d requests, %d, wait %v, the library read %q", n, r.Status, r.RetryAfter, body)
	}
	if _, err := client().Foreign(ctx, &x).Get(srv.URL + "/hang"); err == nil { //nolint:bodyclose // there is none
		t.Error("a request outlived the context")
	}
	if _, _, err := x.Last(); err == nil {
		t.Error("the failure is not on record")
	}
	if _, err := client().Foreign(ctx, &x).Get(srv.URL); err == nil { //nolint:bodyclose // there is none
		t.Error("a request began after the context's end")
	}
	if n, _, _ := x.Last(); n != 2 {
		t.Errorf("%d requests on record, want 2", n)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second},
		{"Retry-After", "0.25", 250 * time.Millisecond},
		{"Retry-After", "Sun, 22 Nov 2026 12:01:00 GMT", time.Minute},
		{"Retry-After", "Sun, 22 Nov 2026 11:01:00 GMT", 0},
		{"Retry-After", "Sun, 22 Nov 2099 11:01:00 GMT", httpx.MaxWait},
		{"Retry-After", "-1", 0},
		{"Retry-After", "NaN", 0},
		{"Retry-After", "soon", 0},
		{"Retry-After", "999999999999999999999", httpx.MaxWait},
		{"X-RateLimit-Reset", "3", 3 * time.Second},
		{"X-RateLimit-Reset", fmt.Sprint(now.Add(90 * time.Second).Unix()), 90 * time.Second},
		{"X-RateLimit-Reset", fmt.Sprint(now.Add(90 * time.Second).UnixMilli()), 90 * time.Second},
		{"RateLimit-Reset", "57", 57 * time.Second},
		{"X-RateLimit-Reset-After", "1.5", 1500 * time.Millisecond},
	}
	for _, tt := range tests {
		if got := httpx.RetryAfter(http.Header{http.CanonicalHeaderKey(tt.name): {tt.value}}, now); got != tt.want {
			t.Errorf("%s: %s = %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
	both := http.Header{"Retry-After": {"2"}, "X-Ratelimit-Reset": {"9"}}
	if got := httpx.RetryAfter(both, now); got != 2*time.Second {
		t.Errorf("with both headers %v", got)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "1e400", "Sun, 22 Nov 2026 12:01:00 GMT", "0x10", ""} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d := httpx.RetryAfter(http.Header{"Retry-After": {s}}, now); d < 0 || d > httpx.MaxWait {
			t.Errorf("%q: %v", s, d)
		}
	})
}

func TestSite(t *testing.T) {
	for raw, want := range map[string]string{
		"https://chat.example.com":   "https://chat.example.com",
		"https://chat.example.com//": "https://chat.example.com",
		"https://x.example/chat/":    "https://x.example/chat",
		"http://127.0.0.1:8065":      "http://127.0.0.1:8065",
		"http://localhost:8065/":     "http://localhost:8065",
	} {
		if got, err := httpx.Site(raw, false); err != nil || got != want {
			t.Errorf("Site(%q) = %q, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "chat.example.com", "ftp://x", "http://chat.example.com", "https://u:" + token + "@x", "https:x", "https://a b", "://"} {
		_, err := httpx.Site(raw, false)
		if err == nil {
			t.Errorf("Site(%q) was taken", raw)
		} else if strings.Contains(err.Error(), token) {
			t.Errorf("the credential shows in %v", err)
		}
	}
	if _, err := httpx.Site("http://chat.internal", true); err != nil {
		t.Errorf("allow_http: %v", err)
	}
}
