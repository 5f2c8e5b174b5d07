package acceptance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sitrep/internal/pgtest"
	"sitrep/ledger"
	"sitrep/ledger/postgres"
)

const (
	rooms     = 3000
	postTakes = 30 * time.Millisecond
	leaseEnds = 12 * time.Second // the dispatcher's lease is ten seconds
)

// wall is a chat that takes posts by webhook, slowly, and remembers who got what, in
// order.
type wall struct {
	mu    sync.Mutex
	posts map[string][]string // room → the updates' words
	count int
}

func (w *wall) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var post struct{ Channel, Text string }
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &post) != nil {
		return // the sender died in the middle: nothing was posted
	}
	word := "first"
	if bytes.Contains(body, []byte("second-word")) {
		word = "second"
	}
	time.Sleep(postTakes / 2)
	w.mu.Lock()
	w.posts[post.Channel] = append(w.posts[post.Channel], word)
	w.count++
	w.mu.Unlock()
	time.Sleep(postTakes / 2)
	_, _ = io.WriteString(rw, "ok") // the sender may be dead
}

func (w *wall) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count
}

// replica is a `sitrep serve` that can be killed, stopped and started again.
type replica struct {
	h      home
	socket string
	cmd    *exec.Cmd
	log    bytes.Buffer
}

func (r *replica) start(t *testing.T) {
	t.Helper()
	r.cmd = r.h.command(context.WithoutCancel(t.Context()), t, "serve", "--listen", "unix:"+r.socket)
	r.log.Reset()
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (r *replica) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatalf("%v: %v\n%s", s, err, &r.log)
	}
}

// end waits for a process that was told to end.
func (r *replica) end() { _ = r.cmd.Wait() } // it was killed

// send hands an update to the replica and does not wait for it to be delivered.
func (r *replica) send(t *testing.T, file string) {
	t.Helper()
	cmd := r.h.command(t.Context(), t, "send", "--json", "--timeout", "1ms", file)
	cmd.Env = append(cmd.Env, "SITREP_SERVER=unix:"+r.socket)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 6 && code != 0 {
		t.Fatalf("send %s: %v\n%s\n%s", file, err, out, &r.log)
	}
}

// Three replicas on one database are killed and stopped past their lease at random
// while 3,000 recipients are told of two updates. Then every delivery has one outcome,
// every recipient has every update, in order, and more than one copy only where the
// ledger recorded an interrupted attempt.
func TestReplicas(t *testing.T) {
	dsn := pgtest.Database(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	w := &wall{posts: map[string][]string{}}
	chat := httptest.NewServer(w)
	defer chat.Close()
	h := replicaHome(t, dsn, chat.URL)
	replicas := make([]*replica, 3)
	for i := range replicas {
		replicas[i] = &replica{h: h, socket: h.path(fmt.Sprintf("r%d.sock", i))}
		replicas[i].start(t)
		defer func() {
			_ = replicas[i].cmd.Process.Kill() // if it has not ended by now
		}()
		eventually(t, "a replica serves", func() bool { return listens(replicas[i].socket) })
	}
	replicas[0].send(t, "first.md")
	eventually(t, "posts arrive", func() bool { return w.total() > 100 })

	replicas[1].signal(t, syscall.SIGSTOP)
	wakes := time.Now().Add(leaseEnds)
	for range 3 {
		n := w.total() + 100 + random.IntN(300)
		eventually(t, "posts go on", func() bool { return w.total() >= n || time.Now().After(wakes) })
		victim := replicas[2*random.IntN(2)]
		victim.signal(t, syscall.SIGKILL)
		victim.end()
		victim.start(t)
	}
	eventually(t, "the replica serves again", func() bool { return listens(replicas[2].socket) })
	replicas[2].send(t, "second.md")
	eventually(t, "the lease of the stopped one is over", func() bool { return time.Now().After(wakes) })
	replicas[1].signal(t, syscall.SIGCONT)
	n := w.total() + random.IntN(200)
	eventually(t, "posts go on", func() bool { return w.total() >= n })
	replicas[1].signal(t, syscall.SIGKILL)
	replicas[1].end()
	replicas[1].start(t)

	l, err := postgres.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	eventually(t, "nothing is pending", func() bool {
		left, err := l.Tally(t.Context(), ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
		return err == nil && len(left) == 0
	})
	for _, r := range replicas {
		r.signal(t, syscall.SIGTERM)
		if err := r.cmd.Wait(); err != nil {
			t.Errorf("a replica ended badly: %v\n%s", err, tail(r.log.String()))
		}
	}
	checkReplicas(t, l, w)
}

func listens(socket string) bool {
	c, err := net.Dial("unix", socket)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

func replicaHome(t *testing.T, dsn, chat string) home {
	t.Helper()
	h := newHome(t, `
ledger_file: dsn
channels:
  - {id: chat, kind: mattermost, webhook_file: webhook, workers: 4, on_ambiguous: resend}
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: everybody, audience: internal, to: [{chat: {file: rooms.csv}}]}]
`)
	var csv strings.Builder
	csv.WriteString("address\n")
	for i := range rooms {
		fmt.Fprintf(&csv, "room-%d\n", i)
	}
	const update = "### Enterprise ABC SEV1 outage\n\n#### Status: %s\n\n#### Incident Time: 1 hour\n\nThis is the %s-word. Next update at 8pm UTC.\n"
	h.write(t, "dsn", dsn)
	h.write(t, "webhook", chat+"/hooks/abcdefghijklmnopqrstuvwxyz")
	h.write(t, "rooms.csv", csv.String())
	h.write(t, "first.md", fmt.Sprintf(update, "Identified", "first"))
	h.write(t, "second.md", fmt.Sprintf(update, "Monitoring", "second"))
	return h
}

// checkReplicas holds what arrived and what the ledger knows against each other.
func checkReplicas(t *testing.T, l ledger.Reader, w *wall) {
	t.Helper()
	deliveries, twice, interrupted := 0, 0, 0
	for d, err := range l.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		deliveries++
		if d.Outcome != ledger.Delivered {
			t.Errorf("update %d to %s: %s %s", d.Seq, d.To.Address, d.Outcome, d.Detail)
		}
		word := []string{"", "first", "second"}[d.Seq]
		copies := 0
		for _, x := range w.posts[d.To.Address] {
			if x == word {
				copies++
			}
		}
		cut := 0
		attempts, err := l.Attempts(t.Context(), d.Key)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attempts {
			if a.Interrupted {
				cut++
			}
		}
		if copies < 1 || copies > 1+cut {
			t.Errorf("update %d to %s: %d copies with %d interrupted attempts", d.Seq, d.To.Address, copies, cut)
		}
		twice, interrupted = twice+copies-1, interrupted+cut
	}
	if deliveries != 2*rooms {
		t.Errorf("%d deliveries, want %d", deliveries, 2*rooms)
	}
	for room, words := range w.posts {
		if s := strings.Join(words, " "); strings.Contains(s, "second first") {
			t.Errorf("%s got: %s", room, s)
		}
	}
	t.Logf("%d copies too many, %d interrupted attempts on record", twice, interrupted)
}
