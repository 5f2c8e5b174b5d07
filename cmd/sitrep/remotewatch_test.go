package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

// A bar's total is right from the start: whoever is written to, and nobody twice.
func TestFarWatchCounts(t *testing.T) {
	u := incident.Update{Key: "k"}
	p := dispatcher.Prepared{Update: u, New: 103, Plan: farPlan(u, server.PreviewView{Groups: []server.GroupView{
		{List: "a", Channel: "mail", Recipients: 100, Suppressed: 7, Already: 3}, {List: "b", Channel: "mail", Recipients: 2}, {List: "b", Channel: "chat", Recipients: 1},
	}})}
	expected, err := (&remote{}).expected(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	show := &watcher{progress: &progress{w: io.Discard, quiet: true, now: time.Now}}
	show.begin("k", expected)
	w := &farWatch{show: show, update: "k", left: map[string]int{}, settled: map[string]bool{}}
	for _, x := range expected {
		w.left[x.Channel] += x.Count
	}
	is := func(step, want string) {
		t.Helper()
		var got []string
		for _, b := range show.progress.rows {
			line := b.line(style{}, 4, 5)
			got = append(got, strings.Join(strings.Fields(strings.Trim(strings.NewReplacer("█", "", "░", "").Replace(line), " ")), " "))
		}
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s: %s, want %s", step, s, want)
		}
	}
	tell := func(key string, outcome ledger.Outcome, attempts int) {
		w.tell(client.Event{Delivery: &server.DeliveryEvent{Delivery: key, Update: "k", Channel: "mail", Address: key, Outcome: string(outcome), Attempts: attempts}})
	}
	is("before", "mail 0/92; chat 0/1")
	tell("1", pendingWord, 1)
	is("a failed attempt", "mail 0/92 1 retrying; chat 0/1")
	tell("1", ledger.Delivered, 2)
	tell("2", ledger.Failed, 1)
	is("two outcomes", "mail 2/92 1 failed; chat 0/1")
	tell("1", ledger.Bounced, 2)
	is("one came back", "mail 2/92 1 failed; chat 0/1")
	tell("2", pendingWord, 1)
	tell("2", ledger.Delivered, 2)
	is("one was tried again", "mail 3/93 1 failed; chat 0/1")
	w.trim()
	is("the end", "mail 3/3 1 failed; chat 0/0")
}

// A preview through a server draws what the channel draws, and a dry run says the same
// as without one, at any size.
func TestFarSaysTheSame(t *testing.T) {
	dir := t.TempDir()
	rooms := "address\n"
	for i := range 1500 {
		rooms += "room-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26) + "\n"
	}
	writeFiles(t, dir, map[string]string{"rooms.csv": rooms, "update.md": serveUpdate, "sitrep.yaml": `ledger: sqlite://ledger.db
channels: [{id: chat, kind: mattermost, webhook: "http://127.0.0.1:1/hooks/abcdefghijklmnopqrstuvwxyz"}]
customers:
  - {id: abc, name: Enterprise ABC, lists: [{id: rooms, audience: customer, to: [{chat: {file: rooms.csv}}]}]}
`})
	startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	far := []string{"HOME=" + dir, "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")}
	if code, _, errOut := cli(t, far, "suppress", "add", "room-a", "--channel", "chat", "--reason", "closed"); code != 0 {
		t.Fatal(errOut)
	}
	file := filepath.Join(dir, "update.md")
	for _, words := range [][]string{{"send", file, "--dry-run"}, {"preview", file}, {"send", file, "--dry-run", "--json"}, {"preview", file, "--json"}} {
		code, near, errOut := cli(t, own, words...)
		farCode, there, farErr := cli(t, far, words...)
		if code != 0 || farCode != code || near == "" || timeless(near) != timeless(there) {
			t.Errorf("%s: here %d %s\n%.2000s\nthere %d %s\n%.2000s", words, code, errOut, near, farCode, farErr, there)
		}
		if !strings.Contains(words[len(words)-1], "json") && !strings.Contains(there, "chat 1500 (1 suppressed)") {
			t.Errorf("%s does not count:\n%.500s", words, there)
		}
	}
}

// timeless is a text without what depends on the second it was made in.
func timeless(s string) string {
	var kept []string
	for line := range strings.Lines(s) {
		if !strings.Contains(line, `"at": "`) && !strings.Contains(line, `"started": "`) {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// Whoever watches a server go away hears of it, and of its return; and that what was
// accepted need not be sent again.
func TestFarWatchOfServerThatGoesAway(t *testing.T) {
	var ok atomic.Bool
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !ok.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer hook.Close()
	dir := serveDir(t)
	writeFiles(t, dir, map[string]string{"sitrep.yaml": strings.NewReplacer("kind: page}", "kind: notify/http, retry: {base: 10ms, max: 50ms}, webhooks: [{id: abc, url: \""+hook.URL+"\"}]}",
		"[{page: [globex]}]", "[{page: [abc]}]").Replace(serveConfig)})
	s := startServe(t, dir, nil)
	env := []string{"HOME=" + dir, "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")}
	var out, errOut syncBuffer
	code := make(chan int, 1)
	go func() {
		code <- run(t.Context(), []string{"send", filepath.Join(dir, "update.md")}, env, strings.NewReader(""), &out, &errOut)
	}()
	s.until("an attempt failed", func() bool { return strings.Contains(s.log.String(), "an attempt failed") })
	s.stop()
	s.until("the loss is said", func() bool { return strings.Contains(errOut.String(), "The server cannot be reached.") })
	s = startServe(t, dir, nil)
	s.until("the return is said", func() bool { return strings.Contains(errOut.String(), "The server can be reached again.") })
	ok.Store(true)
	if got := <-code; got != exitOK {
		t.Errorf("it ended with %d: %s %s", got, &out, &errOut)
	}
	if n := strings.Count(errOut.String(), "cannot be reached"); n != 1 {
		t.Errorf("it is said %d times: %s", n, &errOut)
	}

	ok.Store(false)
	failures := func() int { return strings.Count(s.log.String(), "an attempt failed") }
	before := failures()
	writeFiles(t, dir, map[string]string{"update.md": strings.Replace(serveUpdate, "Sign-in fails", "Sign-in still fails", 1)})
	var errOut2 syncBuffer
	go func() {
		code <- run(t.Context(), []string{"send", filepath.Join(dir, "update.md"), "--timeout", "2s"}, env, strings.NewReader(""), io.Discard, &errOut2)
	}()
	s.until("an attempt failed again", func() bool { return failures() > before })
	s.stop()
	if got := <-code; got == exitOK || !strings.Contains(errOut2.String(), "nobody has to send it again") {
		t.Errorf("it ended with %d: %s", got, &errOut2)
	}
}
