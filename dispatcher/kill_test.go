package dispatcher_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

// Where the child of TestRule1Kill finds its work; empty in every other run.
const (
	killLedger = "SITREP_TEST_KILL_LEDGER"
	killRemote = "SITREP_TEST_KILL_REMOTE"
)

// line is a channel whose remote side is a counter behind a TCP connection: one
// line a message, answered when it is counted.
type line struct{ address string }

func (line) Spec() channels.Spec {
	return channels.Spec{Format: channels.FormatText, Workers: 8, Ambiguous: channels.ResendAmbiguous}
}

func (l line) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", l.address)
	if err != nil {
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "connect: %w", err)
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, e.Key); err != nil {
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "write: %w", err)
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		return channels.Receipt{}, channels.Errorf(channels.Ambiguous, "no answer: %w", err)
	}
	return channels.Receipt{}, nil
}

// TestMain is the child's whole program when the test binary is started as one.
func TestMain(m *testing.M) {
	path := os.Getenv(killLedger)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := workUntilKilled(path, os.Getenv(killRemote)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func workUntilKilled(path, address string) error {
	l, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: l, Renderers: renderers.Builtin(),
		Lanes: []dispatcher.Lane{{ID: "line", Channel: line{address}}},
		Lease: time.Second, Poll: 100 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	return errors.Join(d.Work(context.Background(), dispatcher.Scope{}), l.Close())
}

// counter is the remote side: how often each key has arrived.
type counter struct {
	mu     sync.Mutex
	seen   map[string]int
	left   int           // arrivals until kill is closed
	killAt chan struct{} // closed at the last of them
}

// after returns a channel that is closed when n more messages have arrived.
func (c *counter) after(n int) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.killAt = n, make(chan struct{})
	return c.killAt
}

func newCounter(t *testing.T) (*counter, string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := &counter{seen: map[string]int{}}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go c.serve(conn)
		}
	}()
	return c, l.Addr().String()
}

func (c *counter) serve(conn net.Conn) {
	defer conn.Close()
	key, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	c.mu.Lock()
	c.seen[strings.TrimSpace(key)]++
	if c.left--; c.left == 0 {
		close(c.killAt)
	}
	c.mu.Unlock()
	_, _ = io.WriteString(conn, "ok\n") // a client that was killed does not hear it
}

// Rule 1: the process is killed at random moments and started again until all is
// done. Every recipient gets the update, and gets it twice only where the ledger
// has an interrupted attempt on record.
func TestRule1Kill(t *testing.T) {
	const recipients, kills = 500, 6
	seen, address := newCounter(t)
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "sitrep.db")}
	r.o.Lanes = []dispatcher.Lane{{ID: "line", Channel: line{address}}}
	r.open(func(*dispatcher.Options) {})
	var to []string
	for i := range recipients {
		to = append(to, fmt.Sprintf("line:%d", i))
	}
	update := r.accept("INC-1", 1, time.Hour, to...)
	for range kills {
		if !runChild(t, r.path, address, seen.after(1+rand.IntN(recipients/kills/2))) {
			t.Fatal("a run ended before it was killed")
		}
	}
	if runChild(t, r.path, address, seen.after(100*recipients)) {
		t.Fatal("the last run was killed")
	}
	r.tally(update, ledger.Delivered, recipients)
	twice := 0
	for row, err := range r.l.Deliveries(t.Context(), ledger.DeliveryQuery{Update: update}) {
		if err != nil {
			t.Fatal(err)
		}
		n := seen.seen[row.Key]
		if n > 1 {
			twice++
		}
		if most := 1 + r.interrupted(row.Key); n < 1 || n > most {
			t.Errorf("%s arrived %d times, want 1 to %d", row.To.Address, n, most)
		}
	}
	t.Logf("killed %d times; %d of %d arrived more than once", kills, twice, recipients)
}

func (r *rig) interrupted(delivery string) int {
	r.t.Helper()
	attempts, err := r.l.Attempts(r.t.Context(), delivery)
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, a := range attempts {
		if a.Interrupted {
			n++
		}
	}
	return n
}

// runChild starts this binary as the child, kills it (SIGKILL) when told to, and
// reports whether it did.
func runChild(t *testing.T, path, address string, kill <-chan struct{}) (killed bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), killLedger+"="+path, killRemote+"="+address)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("the child failed: %v\n%s", err, said.String())
		}
		return false
	case <-kill:
		_ = cmd.Process.Kill() // it has not ended: most of the deliveries are pending
		return <-done != nil
	}
}
