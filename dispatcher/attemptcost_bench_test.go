package dispatcher_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/internal/usage"
	"sitrep/ledger"
	"sitrep/renderers"
)

// BenchmarkAttemptCost is what the dispatcher itself costs a delivery: claims come from
// and settlements go to memory, and the channel does nothing, or has another goroutine
// answer, as one has that shares connections.
func BenchmarkAttemptCost(b *testing.B) {
	b.Run("at-once", func(b *testing.B) { benchAttempts(b, 8, atOnce{}) })
	b.Run("shared", func(b *testing.B) {
		s := newShared()
		defer close(s.queue)
		benchAttempts(b, 60, s)
	})
}

func benchAttempts(b *testing.B, workers int, c channels.Channel) {
	const n = 20_000
	m := &memory{}
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: m, Renderers: renderers.Builtin(),
		Lanes: []dispatcher.Lane{{ID: "mail", Kind: "test", Channel: c, Workers: workers}},
	})
	if err != nil {
		b.Fatal(err)
	}
	m.fill(n)
	m.run(b, d, n)
	var before, after runtime.MemStats
	var used time.Duration
	var allocs, bytes uint64
	rounds := 0
	for b.Loop() {
		rounds++
		m.fill(n)
		runtime.ReadMemStats(&before)
		began := usage.Processor(b)
		m.run(b, d, n)
		used += usage.Processor(b) - began
		runtime.ReadMemStats(&after)
		allocs, bytes = allocs+after.Mallocs-before.Mallocs, bytes+after.TotalAlloc-before.TotalAlloc
	}
	each := func(v uint64) float64 { return float64(v) / float64(rounds*n) }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(each(uint64(used.Nanoseconds()))/1000, "cpu-µs/delivery") //nolint:gosec // not negative
	b.ReportMetric(each(allocs), "allocs/delivery")
	b.ReportMetric(each(bytes), "B/delivery")
}

type atOnce struct{}

func (atOnce) Spec() channels.Spec { return channels.Spec{Format: channels.FormatText} }

func (atOnce) Send(context.Context, channels.Envelope) (channels.Receipt, error) {
	return channels.Receipt{RemoteID: "4Zk1xQ2Lz9z3kp"}, nil
}

// shared answers every message from one goroutine.
type shared struct {
	atOnce
	queue chan chan struct{}
}

func newShared() *shared {
	s := &shared{queue: make(chan chan struct{}, 64)}
	go func() {
		for done := range s.queue {
			done <- struct{}{}
		}
	}()
	return s
}

func (s *shared) Send(ctx context.Context, _ channels.Envelope) (channels.Receipt, error) {
	done := make(chan struct{}, 1)
	s.queue <- done
	select {
	case <-done:
		return channels.Receipt{RemoteID: "4Zk1xQ2Lz9z3kp"}, nil
	case <-ctx.Done():
		return channels.Receipt{}, ctx.Err()
	}
}

// memory is a ledger of one update that has nothing but its queue.
type memory struct {
	ledger.Ledger
	mu      sync.Mutex
	claims  []ledger.Claim
	settled int
}

// fill makes n deliveries.
func (m *memory) fill(n int) {
	now := time.Now()
	m.claims, m.settled = make([]ledger.Claim, n), 0
	for i := range m.claims {
		m.claims[i] = ledger.Claim{
			ID: int64(i), Key: "abcdefghijklmnopqrstuvwxyz", Attempt: 1, Channel: "mail",
			To: channels.Recipient{Address: fmt.Sprintf("user%d@abc.example", i)}, Rendering: 1,
			Incident: "INC-1", Update: "INC-1-1", Customer: "abc", Severity: "SEV1", List: "contacts", Audience: "customer",
			Seq: 1, Accepted: now, Expire: now.Add(time.Hour),
		}
	}
}

// run has d deliver what there is.
func (m *memory) run(b *testing.B, d *dispatcher.Dispatcher, n int) {
	b.Helper()
	if err := d.Work(b.Context(), dispatcher.Scope{}); err != nil {
		b.Fatal(err)
	}
	if m.settled != n {
		b.Fatalf("%d settled, want %d", m.settled, n)
	}
}

func (m *memory) Claim(_ context.Context, r ledger.ClaimRequest) (ledger.Claimed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(r.Limit, len(m.claims))
	got := ledger.Claimed{Claims: m.claims[:n:n]}
	m.claims = m.claims[n:]
	if len(m.claims) > 0 {
		got.Next = r.Now
	}
	return got, nil
}

func (m *memory) Settle(_ context.Context, s []ledger.Settlement) ([]ledger.Verdict, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settled += len(s)
	verdicts := make([]ledger.Verdict, len(s))
	for i, x := range s {
		verdicts[i] = ledger.Verdict{Applied: true, Outcome: x.Outcome}
	}
	return verdicts, nil
}

func (m *memory) Renew(context.Context, string, time.Time) error { return nil }

func (m *memory) Pause(context.Context, ledger.Pause) error { return nil }

func (m *memory) Rendering(context.Context, int64) (channels.Message, error) {
	return channels.Message{Format: channels.FormatText, Subject: "s", Text: "t"}, nil
}
