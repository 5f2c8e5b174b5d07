package dispatcher_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/usage"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

// nowhere is a channel that delivers at once and notes when the first delivery of
// each update came.
type nowhere struct {
	mu    sync.Mutex
	left  int
	first time.Time
	done  chan struct{}
}

func (*nowhere) Spec() channels.Spec {
	return channels.Spec{Format: channels.FormatText, Workers: 8}
}

func (c *nowhere) Send(context.Context, channels.Envelope) (channels.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = time.Now()
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
	return channels.Receipt{RemoteID: "2.0.0 Ok: queued as 4Zk1xQ2Lz9z3kp"}, nil
}

// expect begins anew, for n deliveries.
func (c *nowhere) expect(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.first, c.done = n, time.Time{}, make(chan struct{})
}

// daemon is a dispatcher at work, as serve has it.
func daemon(b *testing.B, recipients int) (*dispatcher.Dispatcher, *nowhere) {
	b.Helper()
	l, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "sitrep.db"))
	if err != nil {
		b.Fatal(err)
	}
	far := &nowhere{}
	list := incident.List{ID: "contacts", Audience: incident.Customer}
	for i := range recipients {
		list.To = append(list.To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("user%d@abc.example", i)})
	}
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: l, Renderers: renderers.Builtin(), Lanes: []dispatcher.Lane{{ID: "mail", Kind: "test", Channel: far}},
		Parties: []incident.Party{{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{list}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		_ = l.Close()
	})
	return d, far
}

// BenchmarkFirstDelivery is from the bytes of an update to its first message at the
// channel, and what a delivery costs until the last, in a daemon at work. The first
// is not to depend on the number of recipients, nor is the second.
func BenchmarkFirstDelivery(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchFirst(b, n) })
	}
}

func benchFirst(b *testing.B, n int) {
	d, far := daemon(b, n)
	send(b, d, far, "warm", n)
	var firsts, attempts []time.Duration
	var all time.Duration
	rounds := 0
	before := usage.Processor(b)
	for b.Loop() {
		rounds++
		t := send(b, d, far, fmt.Sprint(rounds), n)
		firsts, attempts = append(firsts, t.first), append(attempts, t.attempt)
		all += t.all
	}
	b.ReportMetric(ms(middle(firsts)), "first-ms")
	b.ReportMetric(ms(middle(attempts)), "accepted-to-attempt-ms")
	b.ReportMetric(float64(all.Microseconds())/float64(rounds*n), "µs/delivery")
	b.ReportMetric(float64((usage.Processor(b)-before).Microseconds())/float64(rounds*n), "cpu-µs/delivery")
	b.ReportMetric(0, "ns/op")
}

// times of one update, from its bytes.
type times struct {
	first, all time.Duration
	attempt    time.Duration // from the return of Publish; negative: it was before
}

func send(b *testing.B, d *dispatcher.Dispatcher, far *nowhere, name string, n int) times {
	b.Helper()
	far.expect(n)
	began := time.Now()
	p, err := d.Prepare(b.Context(), dispatcher.Submission{Source: []byte(text), Incident: "INC-" + name, Key: "key-" + name})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.Publish(b.Context(), p); err != nil {
		b.Fatal(err)
	}
	accepted := time.Now()
	<-far.done
	return times{first: far.first.Sub(began), all: time.Since(began), attempt: far.first.Sub(accepted)}
}

func middle(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/2]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkMemory is how much more memory a daemon occupies at most while it sends an
// update to 100,000 recipients than when it was idle with them.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	d, far := daemon(b, n)
	send(b, d, far, "warm", n)
	var most uint64
	for i := 0; b.Loop(); i++ {
		debug.FreeOSMemory()
		idle := usage.Resident()
		peak := usage.Watch()
		send(b, d, far, fmt.Sprint(i), n)
		if p := peak().Resident; p > idle {
			most = max(most, p-idle)
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "MB-above-idle")
	b.ReportMetric(0, "ns/op")
}
