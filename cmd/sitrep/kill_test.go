package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// asProgram makes this test binary the program itself, with a lease that a test can
// wait for.
const asProgram = "SITREP_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	a := newApp(nil, os.Stdin, os.Stdout, os.Stderr)
	a.lease = 2 * time.Second
	root := a.rootCommand()
	root.SetArgs(os.Args[1:])
	os.Exit(a.end(root.ExecuteContext(context.Background())))
}

// inbox is a relay that counts what it takes. It answers slowly, before and after it
// has taken a message, so that a sender can die at either time.
type inbox struct {
	mu     sync.Mutex
	taken  map[string]int // by recipient
	left   int            // messages until signal is closed
	signal chan struct{}
	pause  time.Duration // beyond inboxPause, twice a message
	tired  time.Duration // pause from the signal on
}

const inboxPause = 3 * time.Millisecond // twice a message

// after returns a channel that is closed when n more messages have been taken.
func (b *inbox) after(n int) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.signal = n, make(chan struct{})
	return b.signal
}

func (b *inbox) take(to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken[to]++
	if b.left--; b.left == 0 {
		close(b.signal)
		b.pause = b.tired
	}
}

// rest is half the time that a message takes.
func (b *inbox) rest() {
	b.mu.Lock()
	d := inboxPause + b.pause
	b.mu.Unlock()
	time.Sleep(d)
}

// setPause sets pause as it is now and from the signal on.
func (b *inbox) setPause(now, then time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pause, b.tired = now, then
}

// copies is how many messages a recipient got.
func (b *inbox) copies(to string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.taken[to]
}

// total is how many recipients got something.
func (b *inbox) total() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.taken)
}

// NewSession implements [smtp.Backend].
func (b *inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &inboxSession{inbox: b}, nil }

// inboxSession is one connection.
type inboxSession struct {
	inbox *inbox
	to    string
}

func (s *inboxSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *inboxSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}

func (s *inboxSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err // the sender died: the message is not whole
	}
	s.inbox.rest()
	s.inbox.take(s.to)
	s.inbox.rest()
	return nil
}

func (s *inboxSession) Reset()        {}
func (s *inboxSession) Logout() error { return nil }

func startInbox(t *testing.T) (*inbox, string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &inbox{taken: map[string]int{}}
	srv := smtp.NewServer(b)
	srv.Domain = "inbox.test.example"
	srv.ErrorLog = quiet{}
	go func() { _ = srv.Serve(l) }() // until Close
	t.Cleanup(func() { _ = srv.Close() })
	return b, l.Addr().String()
}

// quiet swallows the server's complaints about senders that died.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// killHome writes the configuration and the update, and returns the configuration's
// path.
func killHome(t *testing.T, relay string, recipients int) (config, update string) {
	t.Helper()
	dir := t.TempDir()
	csv := "address\n"
	for i := range recipients {
		csv += fmt.Sprintf("reader%d@abc.example\n", i)
	}
	for name, content := range map[string]string{
		"contacts.csv": csv,
		"update.md":    "### Enterprise ABC SEV1 outage\n\n#### Status: Monitoring\n\nSign-in works again. Next update at 8pm ET.\n",
		"sitrep.yaml": `
ledger: sqlite://ledger.db
channels:
  - {id: mail, kind: email, host: "` + relay + `", tls: none, from: status@status.example, on_ambiguous: resend}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    lists: [{id: contacts, audience: customer, to: [{mail: {file: contacts.csv}}]}]
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sitrep.yaml"), filepath.Join(dir, "update.md")
}

// killed starts the program, kills it (SIGKILL) when told to, and reports whether it
// was still running then. The output of one that ended by itself is returned.
func killed(t *testing.T, kill <-chan struct{}, args ...string) (bool, []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("sitrep %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errOut)
		}
		return false, out.Bytes()
	case <-kill:
	}
	_ = cmd.Process.Kill() // if it has ended in this moment, Wait says so
	return <-done != nil, nil
}

// The whole program is killed at random moments of a fan-out and started again until
// it says that all is delivered. Then every recipient has the update, and has it twice
// only where the ledger knows of an interrupted attempt.
func TestKilledAndResumed(t *testing.T) {
	const recipients, kills = 1200, 6 // more than are written down at once
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	in, relay := startInbox(t)
	config, update := killHome(t, relay, recipients)

	// Any time from the start on: perhaps nothing is accepted yet. Sending the same
	// again is right in both cases.
	early := make(chan struct{})
	time.AfterFunc(time.Duration(random.IntN(400))*time.Millisecond, func() { close(early) })
	killed(t, early, "send", "--config", config, update)
	if ok, _ := killed(t, in.after(1+random.IntN(recipients/kills)), "send", "--config", config, update); !ok {
		t.Fatal("the program ended before it could be killed")
	}
	times := 2
	for ; times < kills; times++ {
		n := 1 + random.IntN(recipients/kills)
		if ok, _ := killed(t, in.after(n), "send", "--resume", "--config", config); !ok {
			t.Fatal("the program ended before it could be killed")
		}
	}
	killed(t, nil, "send", "--resume", "--config", config, "--timeout", "90s")
	twice := checkKilled(t, in, config, recipients)
	t.Logf("killed %d times; %d of %d recipients got it more than once", times, twice, recipients)
}

// checkKilled holds what arrived, what the program reports and what the ledger knows
// against each other.
func checkKilled(t *testing.T, in *inbox, config string, recipients int) (twice int) {
	t.Helper()
	ctx := t.Context()
	l, err := sqlite.Open(ctx, filepath.Join(filepath.Dir(config), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	updates, err := l.Updates(ctx, ledger.UpdateQuery{})
	if err != nil || len(updates) != 1 {
		t.Fatalf("the ledger has %d updates (%v), want one", len(updates), err)
	}
	for d, err := range l.Deliveries(ctx, ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		n, most := in.copies(d.To.Address), 1+interruptions(t, l, d.Key)
		if n < 1 || n > most || d.Outcome != ledger.Delivered {
			t.Errorf("%s is %q and got %d copies, want it delivered and 1 to %d", d.To.Address, d.Outcome, n, most)
		}
		if n > 1 {
			twice++
		}
	}
	_, out := killed(t, nil, "report", "--json", "--config", config, updates[0].Key)
	var said struct{ Updates []account }
	if err := json.Unmarshal(out, &said); err != nil || len(said.Updates) != 1 || said.Updates[0].Delivered != recipients || len(said.Updates[0].Recipients) != 0 {
		t.Errorf("the report (%v), want %d delivered and nobody else:\n%s", err, recipients, out)
	}
	return twice
}

// interruptions is how many attempts at a delivery were cut off.
func interruptions(t *testing.T, l ledger.Reader, delivery string) int {
	t.Helper()
	attempts, err := l.Attempts(t.Context(), delivery)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, a := range attempts {
		if a.Interrupted {
			n++
		}
	}
	return n
}
