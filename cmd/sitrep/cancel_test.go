package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// cancelHome is a configuration with two recipients behind a hook: one that gets it and
// one for whom the hook does as told.
func cancelHome(t *testing.T, hook http.HandlerFunc) (dir, file string) {
	t.Helper()
	well := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(well.Close)
	ill := httptest.NewServer(hook)
	t.Cleanup(ill.Close)
	dir = t.TempDir()
	writeFiles(t, dir, map[string]string{"update.md": serveUpdate, "sitrep.yaml": `ledger: sqlite://ledger.db
channels:
  - {id: well, kind: notify/http, webhooks: [{id: one, url: "` + well.URL + `"}]}
  - {id: ill, kind: notify/http, timeout: 20s, retry: {base: 1h, max: 2h}, webhooks: [{id: two, url: "` + ill.URL + `"}]}
customers:
  - {id: abc, name: Enterprise ABC, lists: [{id: l, audience: customer, to: [{well: [one]}, {ill: [two]}]}]}
`})
	return dir, filepath.Join(dir, "update.md")
}

// What waits is taken back, through a server or not, and whoever got it is said to have it.
func TestCancel(t *testing.T) {
	for _, through := range []string{"a server", "the ledger"} {
		t.Run(through, func(t *testing.T) {
			var tried atomic.Int32
			dir, file := cancelHome(t, func(w http.ResponseWriter, _ *http.Request) {
				tried.Add(1)
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			env := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
			if through == "a server" {
				startServe(t, dir, nil)
				env = append(env, "SITREP_SERVER=unix:"+filepath.Join(dir, "s.sock"))
			}
			if code, out, errOut := cli(t, env, "send", file, "--key", "the-key", "--timeout", "1s"); code != exitPending {
				t.Fatalf("%d %s%s", code, out, errOut)
			}
			code, out, errOut := cli(t, env, "cancel", "the-key")
			if code != exitOK && code != exitFailed {
				t.Errorf("%d %s", code, errOut)
			}
			for _, want := range []string{"Update 1 of abc-", "0 of 1 delivered, 1 ", "✓ all 1 delivered", "\n1 recipient got it, and that cannot be taken back.", "'sitrep new abc --incident abc-"} {
				if !strings.Contains(out, want) {
					t.Errorf("it does not say %q:\n%s", want, out)
				}
			}
			if strings.Contains(out, "pending") {
				t.Errorf("something is left:\n%s", out)
			}
			if n := tried.Load(); n != 1 {
				t.Errorf("it was tried %d times", n)
			}
			code, out, _ = cli(t, env, "cancel", "the-key", "--json")
			var said struct {
				Cancelled, Unknown int
				Update             account
			}
			if err := json.Unmarshal([]byte(out), &said); err != nil || said.Cancelled+said.Unknown != 0 || said.Update.Pending != 0 || said.Update.code() != code {
				t.Errorf("again: %d %+v %v", code, said, err)
			}
		})
	}
}

// An attempt that is under way is waited for, and is not repeated if it fails.
func TestCancelWaits(t *testing.T) {
	var tried atomic.Int32
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	dir, file := cancelHome(t, func(w http.ResponseWriter, _ *http.Request) {
		tried.Add(1)
		asked <- struct{}{}
		<-answer
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	startServe(t, dir, nil)
	env := []string{"HOME=" + dir, "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")}
	if code, out, errOut := cli(t, env, "send", file, "--key", "the-key", "--timeout", "100ms"); code != exitPending {
		t.Fatalf("%d %s%s", code, out, errOut)
	}
	<-asked
	code, out, _ := cli(t, env, "cancel", "the-key", "--timeout", "100ms")
	if code != exitPending || !strings.Contains(out, "1 delivery cannot be taken back while an attempt is under way. Run 'sitrep cancel the-key' again in a moment.") ||
		!strings.Contains(out, "0 deliveries taken back") {
		t.Errorf("%d %s", code, out)
	}
	time.AfterFunc(300*time.Millisecond, func() { close(answer) })
	if code, out, errOut := cli(t, env, "cancel", "the-key", "--timeout", "20s"); (code != exitOK && code != exitFailed) || strings.Contains(out, "pending") {
		t.Errorf("%d %s%s", code, out, errOut)
	}
	if n := tried.Load(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
}

// Who may only look may not take back.
func TestCancelTakesAnAuthor(t *testing.T) {
	dir := serveDir(t)
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	_, token, _ := cli(t, own, "token", "new", "--role", "viewer", "--customer", "abc")
	writeFiles(t, dir, map[string]string{"token": token})
	if code, _, errOut := cli(t, own, "send", filepath.Join(dir, "update.md"), "--key", "the-key"); code != exitOK {
		t.Fatal(errOut)
	}
	far := []string{"HOME=" + t.TempDir(), "SITREP_SERVER=" + s.url, "SITREP_TOKEN_FILE=" + filepath.Join(dir, "token")}
	if code, _, errOut := cli(t, far, "cancel", "the-key"); code != exitConfig || !strings.Contains(errOut, "does not permit that") {
		t.Errorf("%d %s", code, errOut)
	}
}
