package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

// remote is a channel whose far side is a script: what answers to the n-th attempt
// at a recipient.
type remote struct {
	spec   channels.Spec
	answer func(ctx context.Context, e channels.Envelope, n int) (channels.Receipt, error)

	mu    sync.Mutex
	sent  []sent
	count map[string]int
	now   int
	peak  int
}

type sent struct {
	at    time.Time
	to    string
	key   string
	text  string
	of    int // the attempt's number at this recipient
	err   error
	thred channels.Thread
}

func newRemote(answer func(ctx context.Context, e channels.Envelope, n int) (channels.Receipt, error)) *remote {
	return &remote{
		spec:   channels.Spec{Format: channels.FormatText, Workers: 4},
		answer: answer, count: map[string]int{},
	}
}

func (r *remote) Spec() channels.Spec { return r.spec }

func (r *remote) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	r.mu.Lock()
	r.count[e.Key]++
	n := r.count[e.Key]
	r.now++
	r.peak = max(r.peak, r.now)
	s := sent{at: time.Now(), to: e.To.Address, key: e.Key, text: e.Message.Text, of: n, thred: e.Thread}
	r.mu.Unlock()
	receipt, err := channels.Receipt{RemoteID: "id-" + e.Key}, error(nil)
	if r.answer != nil {
		receipt, err = r.answer(ctx, e, n)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	s.err = err
	r.sent = append(r.sent, s)
	return receipt, err
}

func (r *remote) all() []sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent)
}

// texts are the messages a recipient got, in order.
func (r *remote) texts(to string) []string {
	var texts []string
	for _, s := range r.all() {
		if s.to == to && s.err == nil {
			texts = append(texts, s.text)
		}
	}
	return texts
}

// finding is a remote that can say what became of an attempt.
type finding struct {
	*remote
	find func(e channels.Envelope, n int) (channels.Receipt, bool, error)

	mu    sync.Mutex
	asked int
}

func (f *finding) Find(_ context.Context, e channels.Envelope) (channels.Receipt, bool, error) {
	f.mu.Lock()
	f.asked++
	n := f.asked
	f.mu.Unlock()
	return f.find(e, n)
}

func fails(f channels.Fault, times int) func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
	return func(_ context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
		if n <= times {
			return channels.Receipt{}, channels.Errorf(f, "attempt %d: %s", n, f)
		}
		return channels.Receipt{RemoteID: "id-" + e.Key, Thread: channels.Thread("thread of " + e.To.Address)}, nil
	}
}

func hangs(ctx context.Context, _ channels.Envelope, _ int) (channels.Receipt, error) {
	<-ctx.Done()
	return channels.Receipt{}, channels.Errorf(channels.Unavailable, "no answer: %w", ctx.Err())
}

// rig is a dispatcher on a real ledger.
type rig struct {
	t    *testing.T
	path string
	l    ledger.Ledger
	d    *dispatcher.Dispatcher
	o    dispatcher.Options

	mu     sync.Mutex
	events []dispatcher.Event
	logged strings.Builder
}

type logTo struct{ r *rig }

func (w logTo) Write(p []byte) (int, error) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	return w.r.logged.Write(p)
}

func (r *rig) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logged.String()
}

func newRig(t *testing.T, lanes ...dispatcher.Lane) *rig {
	t.Helper()
	r := &rig{t: t, path: filepath.Join(t.TempDir(), "sitrep.db")}
	r.o.Lanes = lanes
	r.o.Poll = time.Minute // what wakes a lane in time must be something else
	r.open(func(*dispatcher.Options) {})
	return r
}

// open opens the ledger and makes the dispatcher; again to play another process.
func (r *rig) open(change func(*dispatcher.Options)) {
	r.t.Helper()
	l, err := sqlite.Open(r.t.Context(), r.path)
	if err != nil {
		r.t.Fatalf("open the ledger: %v", err)
	}
	r.t.Cleanup(func() { _ = l.Close() })
	r.l = l
	r.o.Ledger, r.o.Renderers = l, renderers.Builtin()
	r.o.Log = slog.New(slog.NewTextHandler(logTo{r}, nil))
	r.o.OnEvent = func(e dispatcher.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
	change(&r.o)
	if r.d, err = dispatcher.New(r.o); err != nil {
		r.t.Fatalf("New: %v", err)
	}
}

func (r *rig) kinds(kind dispatcher.EventKind) []dispatcher.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var some []dispatcher.Event
	for _, e := range r.events {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// to is a recipient in a test: "channel:address".
func planned(update, to string, expire time.Time) ledger.Planned {
	channel, address, _ := strings.Cut(to, ":")
	return ledger.Planned{
		Key: dispatcher.DeliveryKey(update, channel, address), Channel: channel,
		To: channels.Recipient{Address: address}, List: "list", Audience: "internal", Expire: expire,
	}
}

// accept records update number seq of an incident, bypassing the text, and returns
// its key.
func (r *rig) accept(incidentID string, seq int, expire time.Duration, to ...string) string {
	r.t.Helper()
	now := time.Now()
	key := fmt.Sprintf("%s-%d", incidentID, seq)
	a := ledger.Acceptance{
		Incident: ledger.Incident{
			ID: incidentID, Customer: "abc", Severity: "SEV1", Started: now, Status: "investigating", Seq: seq, Updated: now,
		},
		Update: ledger.Update{
			Key: key, Incident: incidentID, Customer: "abc", Seq: seq, Status: "investigating", Title: key, At: now, Accepted: now,
		},
		Renderings: []channels.Message{{Format: channels.FormatText, Subject: key, Text: key}},
	}
	for _, x := range to {
		a.Deliveries = append(a.Deliveries, planned(key, x, now.Add(expire)))
	}
	if _, err := r.l.Accept(r.t.Context(), a); err != nil {
		r.t.Fatalf("Accept: %v", err)
	}
	return key
}

// start runs the dispatcher; stop ends it and reports its error.
func (r *rig) start() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	d := r.d
	go func() { done <- d.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// work runs the dispatcher until nothing is pending.
func (r *rig) work() {
	r.t.Helper()
	if err := r.d.Work(r.t.Context(), dispatcher.Scope{}); err != nil {
		r.t.Fatalf("Work: %v", err)
	}
}

// delivery is the ledger's row for "channel:address" of an update.
func (r *rig) delivery(update, to string) ledger.Delivery {
	r.t.Helper()
	channel, address, _ := strings.Cut(to, ":")
	key := dispatcher.DeliveryKey(update, channel, address)
	for row, err := range r.l.Deliveries(r.t.Context(), ledger.DeliveryQuery{Update: update}) {
		if err != nil {
			r.t.Fatalf("Deliveries: %v", err)
		}
		if row.Key == key {
			return row
		}
	}
	r.t.Fatalf("no delivery of %s to %s", update, to)
	return ledger.Delivery{}
}

func (r *rig) outcome(update, to string, want ledger.Outcome) ledger.Delivery {
	r.t.Helper()
	row := r.delivery(update, to)
	if row.Outcome != want {
		r.t.Errorf("%s to %s: outcome %q, want %q (fault %q, detail %q)", update, to, row.Outcome, want, row.Fault, row.Detail)
	}
	return row
}

// tally checks how many deliveries of an update have an outcome.
func (r *rig) tally(update string, outcome ledger.Outcome, want int) {
	r.t.Helper()
	rows, err := r.l.Tally(r.t.Context(), ledger.DeliveryQuery{Update: update, Outcomes: []ledger.Outcome{outcome}})
	if err != nil {
		r.t.Fatalf("Tally: %v", err)
	}
	got := 0
	for _, row := range rows {
		got += row.Count
	}
	if got != want {
		r.t.Errorf("%s: %d deliveries are %q, want %d", update, got, outcome, want)
	}
}

// bubble runs a test in which time passes only when everybody waits for it.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func lane(id string, c channels.Channel) dispatcher.Lane {
	return dispatcher.Lane{ID: id, Kind: "test", Channel: c}
}
