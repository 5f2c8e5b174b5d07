package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/internal/secret"
	"sitrep/server"
	"sitrep/server/client"
)

const token = "sitrep_secret-token"

// start serves h and returns a client of it.
func start(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return dial(t, srv.URL)
}

func dial(t *testing.T, address string) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Server: address, Token: secret.New(token), Agent: "sitrep/test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"https://sitrep.example.com": "", "http://127.0.0.1:8080": "", "http://localhost": "", "http://[::1]:9": "", "unix:/run/s": "",
		"http://sitrep.example.com":    "over the network",
		"ftp://x":                      "must be https://",
		"https://u:secret@example.com": "must be https://",
		"sitrep.example.com":           "must be https://",
	} {
		_, err := client.New(client.Options{Server: address})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := client.New(client.Options{Server: "https://x", Roots: []byte("none")}); err == nil {
		t.Error("authorities without a certificate are taken")
	}
}

func TestSend(t *testing.T) {
	c := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		q := r.URL.Query()
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/api/v1/updates" || string(body) != "text" || q.Get("only") != "internal,mail" ||
			q.Get("override") != "why & how" || q.Has("next") || r.Header.Get("Authorization") != "Bearer "+token ||
			!strings.HasPrefix(r.Header.Get("Content-Type"), "text/markdown") || r.Header.Get("User-Agent") != "sitrep/test" {
			t.Errorf("got %s %s %q %v", r.Method, r.URL, body, r.Header)
		}
		fmt.Fprint(w, `{"update":{"key":"abcdef"},"added":3,"events":"7"}`)
	})
	v, err := c.Send(t.Context(), client.Submission{Source: []byte("text"), Only: []string{"internal", "mail"}, Override: "why & how"})
	if err != nil || v.Update.Key != "abcdef" || v.Added != 3 || v.Events != "7" {
		t.Errorf("%+v %v", v, err)
	}
}

func TestRefused(t *testing.T) {
	c := start(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"type":"urn:sitrep:problem:update","title":"T","status":422,"detail":"D","problems":[{"line":3,"what":"W","remedy":"R"}]}`)
	})
	_, err := c.Preview(t.Context(), client.Submission{}, 1000, 0)
	no, ok := errors.AsType[*client.Refused](err)
	if !ok || no.Status != 422 || no.Error() != "D" || len(no.Problems) != 1 || no.Problems[0] != (server.Flaw{Line: 3, What: "W", Remedy: "R"}) {
		t.Errorf("got %#v", err)
	}
}

// What answers may be no sitrep at all.
func TestStrangers(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"a page":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome</html>") },
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "nope", http.StatusTeapot) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.example/", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := start(t, answer).Customers(t.Context())
			if err == nil || !strings.Contains(err.Error(), "is it the right address?") || strings.Contains(err.Error(), token) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := dial(t, "unix:"+filepath.Join(t.TempDir(), "nobody.sock")).Update(ctx, "secret-key")
	if !errors.Is(err, client.ErrUnreachable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

// A server that is busy or restarts is asked again; what must not be done twice is not.
func TestAgain(t *testing.T) {
	calls := 0
	busy := func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, `{"reopened":2,"secret":"x"}`)
	}
	if _, err := start(t, busy).Customers(t.Context()); err != nil || calls != 2 {
		t.Errorf("%d calls: %v", calls, err)
	}
	calls = 0
	if _, _, err := start(t, busy).NewToken(t.Context(), client.Grant{}); err == nil || calls != 1 {
		t.Errorf("a token was asked for %d times: %v", calls, err)
	}
}

func TestPages(t *testing.T) {
	c := start(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("outcome") != "pending,failed" || q.Get("update") != "u/1" {
			t.Errorf("asked for %s", r.URL)
		}
		if q.Get("cursor") == "" {
			fmt.Fprint(w, `{"items":[{"key":"a"},{"key":"b"}],"next":"two"}`)
			return
		}
		fmt.Fprint(w, `{"items":[{"key":"c"}]}`)
	})
	var keys []string
	for d, err := range c.Deliveries(t.Context(), client.Narrow{Update: "u/1", Outcomes: []string{"pending", "failed"}}) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, d.Key)
	}
	if !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Errorf("got %v", keys)
	}
}

// A stream that is cut goes on after the last event that was told.
func TestEvents(t *testing.T) {
	connections := 0
	c := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		connections++
		switch last := r.Header.Get("Last-Event-Id"); {
		case connections == 1 && last == "5" && r.URL.Query().Get("update") == "u":
			fmt.Fprint(w, "retry: 2000\nid: 5\nevent: hello\ndata: {}\n\n: still here\n\nid: 6\nevent: delivery\ndata: {\"delivery\":\"d1\",\"outcome\":\"delivered\"}\n\nid: 7\nevent: deliv")
		case connections == 2 && last == "6":
			fmt.Fprint(w, "event: channel\ndata: {\"channel\":\"mail\",\"up\":false}\n\nid: 8\nevent: news\ndata: {}\n\nid: 9\nevent: update\ndata: {\"update\":\"u\"}\n\n")
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"detail":"after %s"}`, last)
		}
	})
	var told []string
	for e, err := range c.Events(t.Context(), "5", "u") {
		_, cut := errors.AsType[*client.Cut](err)
		switch {
		case cut:
			told = append(told, "cut")
		case err != nil:
			told = append(told, err.Error())
		case e.Delivery != nil:
			told = append(told, "delivery "+e.Delivery.Delivery+" "+e.Delivery.Outcome)
		case e.Channel != nil:
			told = append(told, "channel "+e.Channel.Channel)
		case e.Update != nil:
			told = append(told, "update "+e.Update.Update)
		}
	}
	want := []string{"delivery d1 delivered", "cut", "channel mail", "update u", "cut", "after 9"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q\nwant %q", told, want)
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"customers":[{"id":"abc"}]}`) }))
	if err := srv.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	srv.Listener = l
	srv.Start()
	defer srv.Close()
	all, err := dial(t, "unix:"+path).Customers(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "abc" {
		t.Errorf("%v %v", all, err)
	}
}

func TestSuppressions(t *testing.T) {
	var asked []string
	c := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.Method+" "+r.URL.String()+" "+string(body))
		switch r.Method {
		case http.MethodGet:
			fmt.Fprint(w, `{"suppressions":[{"channel":"mail","address":"a@x.example","reason":"gone","since":"2026-11-22T00:00:00Z","required":true}]}`)
		case http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"channel":"mail","address":"a@x.example"}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	})
	all, err := c.Suppressions(t.Context(), "mail")
	if err != nil || len(all) != 1 || all[0].Reason != "gone" || !all[0].Required {
		t.Errorf("%+v %v", all, err)
	}
	if v, err := c.Suppress(t.Context(), "mail", "a+b@x.example", "asked & got"); err != nil || v.Address != "a@x.example" {
		t.Errorf("%+v %v", v, err)
	}
	if err := c.Unsuppress(t.Context(), "mail", "a+b&c@x.example"); err != nil {
		t.Error(err)
	}
	want := []string{
		"GET /api/v1/suppressions?channel=mail ",
		`POST /api/v1/suppressions {"address":"a+b@x.example","channel":"mail","reason":"asked \u0026 got"}`,
		"DELETE /api/v1/suppressions?address=a%2Bb%26c%40x.example&channel=mail ",
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q\nwant %q", asked, want)
	}
}
