// Package benchmarks measures the whole path of an update, from its bytes to the last
// settled delivery, with everything real but the far end: reading, rendering, the plan,
// the ledger on disk, metrics, the channel. docs/performance.md says how to run it and
// what was reached.
//
// Whatever else the machine does changes every absolute figure, so what counts are
// ratios: each round has the yardstick before and after ours, and the figure is the
// median of the rounds' ratios. A round in which somebody was left out or told twice
// ends the benchmark.
package benchmarks

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/metrics"
	"sitrep/internal/smtprig"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

func TestMain(m *testing.M) {
	smtprig.Main()
	os.Exit(m.Run())
}

// update is what is sent: an ordinary one, about 10 KB as mail.
const update = `### ABC Corp SEV1 outage - 7:20pm UTC update

#### Status: Identified

#### Incident Time: 2 hours

The login is slow, and about one in five people cannot log in at all. We know why: a
certificate that two of our servers share was renewed on one of them only. The other is
being renewed now. Who is logged in already is not affected. Next update at 9pm UTC.

#### Customer Impact

- People cannot log in, or wait for up to a minute until they can.
- The **API** answers 503 to one request in five that begins a session.
- Reports and exports that are scheduled run as they should.

#### Technical Notes

The second of two load balancers serves last year's certificate.
`

// path is the whole path, ready to be gone again and again. The ledger and the metrics
// stay; every run has a channel and a dispatcher of its own, as every sitrep send does.
type path struct {
	ledger  ledger.Ledger
	metrics *metrics.Metrics
	parties []incident.Party
	n, runs int
}

// newPath is one to n recipients.
func newPath(b *testing.B, n int) *path {
	b.Helper()
	l, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "sitrep.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	list := incident.List{ID: "contacts", Audience: incident.Customer}
	for i := range n {
		list.To = append(list.To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("user%d@abc.example", i)})
	}
	return &path{
		ledger: l, n: n,
		metrics: metrics.New(metrics.Options{Customers: []string{"abc"}, Channels: []string{"mail"}}),
		parties: []incident.Party{{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{list}}},
	}
}

// run is how an update fared.
type run struct {
	took  time.Duration // from its bytes to the goodbye to the relay
	rows  time.Duration // until whoever asked then had been told what became of each delivery
	most  time.Duration // until 98 of 100 deliveries were settled
	tries int           // attempts in all
}

func (r run) rate(n int) float64 { return float64(n) / r.took.Seconds() }

// rowRate is the rate if what the ledger writes out afterwards counts too.
func (r run) rowRate(n int) float64 { return float64(n) / r.rows.Seconds() }

// send sends one update to everybody through the relay that cfg names.
func (p *path) send(b *testing.B, cfg email.Config) run {
	b.Helper()
	var w watch
	d, mail := p.open(b, cfg, w.event)
	p.runs++
	s := dispatcher.Submission{Source: []byte(update), Incident: fmt.Sprintf("INC-%d", p.runs), Key: fmt.Sprintf("key-%d", p.runs)}
	began := time.Now()
	prepared, err := d.Prepare(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.Publish(b.Context(), prepared); err != nil {
		b.Fatal(err)
	}
	if err := d.Work(b.Context(), dispatcher.Scope{Incident: s.Incident}); err != nil {
		b.Fatal(err)
	}
	if err := mail.Close(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	p.delivered(b, prepared.Update.Key)
	rows := time.Since(began)
	if len(w.settled) != p.n {
		b.Fatalf("%d deliveries were settled, want %d", len(w.settled), p.n)
	}
	slices.SortFunc(w.settled, time.Time.Compare)
	return run{took: took, rows: rows, most: w.settled[(p.n-1)*98/100].Sub(began), tries: w.tries}
}

func (p *path) open(b *testing.B, cfg email.Config, event func(dispatcher.Event)) (*dispatcher.Dispatcher, channels.Closer) {
	b.Helper()
	cfg.TLS, cfg.From = "none", "Status <status@example.com>"
	mail, err := email.New(func(v any) error { *v.(*email.Config) = cfg; return nil }, channels.Env{ID: "mail"})
	if err != nil {
		b.Fatal(err)
	}
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: p.ledger, Renderers: renderers.Builtin(), Parties: p.parties, Record: p.metrics, OnEvent: event,
		Lanes: []dispatcher.Lane{{ID: "mail", Kind: "email", Channel: mail}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return d, mail.(channels.Closer)
}

// delivered checks that the ledger has a delivered delivery for everybody.
func (p *path) delivered(b *testing.B, key string) {
	b.Helper()
	rows, err := p.ledger.Tally(b.Context(), ledger.DeliveryQuery{Update: key})
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range rows {
		if r.Outcome != ledger.Delivered || r.Count != p.n {
			b.Fatalf("by the ledger %d deliveries are %q, want %d delivered", r.Count, r.Outcome, p.n)
		}
	}
	if len(rows) == 0 {
		b.Fatal("the ledger knows of no delivery")
	}
}

// watch notes when deliveries were settled.
type watch struct {
	mu      sync.Mutex
	settled []time.Time
	tries   int
}

func (w *watch) event(e dispatcher.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e.Kind {
	case dispatcher.EventStarted:
		w.tries++
	case dispatcher.EventSettled:
		w.settled = append(w.settled, time.Now())
	}
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}
