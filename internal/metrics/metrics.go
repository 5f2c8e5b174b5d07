// Package metrics counts deliveries for Prometheus. It is the other side of the
// dispatcher's Recorder, and knows nothing of the dispatcher.
//
// # What it promises
//
//   - A registry of its own: nothing is registered globally, two of them do not
//     disturb each other.
//   - Labels are bounded. Customers, channels and severities come from the
//     configuration; a customer that is not in it counts as "other", and beyond
//     [MaxCustomers] as "_overflow", which sitrep_customers_overflowed shows. The
//     rest are closed sets. No recipient, incident, address, URL or error text is
//     ever a label: those live in the ledger.
//   - Series of configured customers and channels exist from the start at zero, so
//     that a rate over the first failure is not lost. Those of customers and channels
//     that a new configuration does not have are gone after [Metrics.Reload].
//   - One metric a quantity: sitrep_deliveries_total counts every delivery once, by
//     its outcome. One that was delivered and came back is counted as bounced when it
//     does, and stays counted as delivered, for a counter cannot go back: what got
//     through is delivered less bounced.
//   - What is pending, since when, and which promise is due is read from the ledger
//     when somebody asks, so it is right after a restart and on every replica.
package metrics

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"sitrep/channels"
)

// MaxCustomers is how many customers have series of their own.
const MaxCustomers = 500

// Options is what the metrics are made from. Fields may be empty.
type Options struct {
	Customers []string // configured ids
	Channels  []string // configured ids
	Outcomes  []string // the closed set
	Version   string   // of the program, for sitrep_build_info

	Returns     []string // ids of the channels whose mail is received when it comes back
	ReturnKinds []string // what comes back; the closed set

	// Pending reads what is unsettled. Nil: the gauges are not there.
	Pending func(context.Context) ([]Pending, error)
	// Promises reads when the next update of each customer with an open incident
	// is due. Nil: the gauge is not there.
	Promises func(context.Context) ([]Promise, error)

	// Process adds the usual process and Go runtime metrics, and the program's
	// clock; for the daemon, not for a file that outlives the process.
	Process bool
}

// Pending is how many deliveries of a channel wait in one state.
type Pending struct {
	Channel string
	State   string // "waiting" (never failed) or "retrying"
	Count   int
	Oldest  time.Time // when the oldest of them was accepted
}

// Promise is when a customer's next update is due. Of several the earliest counts.
type Promise struct {
	Customer string
	Due      time.Time
}

// Metrics is a registry and what is in it. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	mu        sync.RWMutex // held for writing by Reload, for reading by whoever uses a label
	o         Options
	customers map[string]string // configured id → label
	channels  map[string]bool

	deliveries  *prometheus.CounterVec
	attempts    *prometheus.CounterVec
	failures    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	latency     *prometheus.HistogramVec
	lastSuccess *prometheus.GaugeVec
	up          *prometheus.GaugeVec
	templates   *prometheus.CounterVec
	returns     *prometheus.CounterVec
	required    *prometheus.CounterVec
	ledger      prometheus.Counter
	reload      prometheus.Gauge
	overflow    prometheus.Gauge

	attempted, settled exemplars // of duration and of latency
}

// New makes the metrics with every series of the configuration at zero.
func New(o Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.define()
	m.registry.MustRegister(m.deliveries, m.attempts, m.failures, m.duration, m.latency,
		m.lastSuccess, m.up, m.templates, m.returns, m.required, m.ledger, m.reload, m.overflow)
	m.registry.MustRegister(buildInfo(o.Version))
	if o.Pending != nil || o.Promises != nil {
		m.registry.MustRegister(newState(m))
	}
	if o.Process {
		m.registry.MustRegister(collectors.NewGoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), clock())
	}
	m.configure(o)
	m.reload.Set(1)
	return m
}

// customerLabels gives each configured customer its label: its own id, or
// "_overflow" beyond the cap.
func customerLabels(ids []string) map[string]string {
	labels := make(map[string]string, len(ids))
	for i, id := range ids {
		labels[id] = id
		if i >= MaxCustomers {
			labels[id] = labelOverflow
		}
	}
	return labels
}

// Labels that stand for many.
const (
	labelOther    = "other"
	labelOverflow = "_overflow"
	labelNone     = "none"
)

func (m *Metrics) customer(id string) string {
	if label, ok := m.customers[id]; ok {
		return label
	}
	return labelOther
}

func (m *Metrics) channel(id string) string {
	if m.channels[id] {
		return id
	}
	return labelOther
}

// fill makes every series of the configuration that is not there.
func (m *Metrics) fill(o Options) {
	for _, channel := range o.Channels {
		for _, result := range results() {
			m.attempts.WithLabelValues(channel, result)
		}
		for _, f := range channels.Faults() {
			m.failures.WithLabelValues(channel, string(f))
		}
		m.duration.WithLabelValues(channel)
		for _, severity := range severities() {
			m.latency.WithLabelValues(channel, severity)
		}
		m.templates.WithLabelValues(channel)
		if !m.channels[channel] { // one that is at rest stays so
			m.up.WithLabelValues(channel).Set(1)
		}
		for _, customer := range o.Customers {
			m.required.WithLabelValues(m.customer(customer), channel)
			for _, outcome := range o.Outcomes {
				m.deliveries.WithLabelValues(m.customer(customer), channel, outcome)
			}
		}
	}
	m.fillReturns(o)
}

// Handler answers scrapes, in the classic formats and OpenMetrics (exemplars).
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		Registry: m.registry, EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError,
	})
}

// Gatherer is for tests and for joining with other registries.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// WriteTextfile writes everything to path for the node exporter's textfile
// collector. The file appears whole or not at all.
func (m *Metrics) WriteTextfile(path string) error {
	// WriteToTextfile writes beside path, makes it readable for the node exporter,
	// which runs as another user, and renames.
	if err := prometheus.WriteToTextfile(path, m.registry); err != nil {
		return fmt.Errorf("write the metrics to %s: %w; is %s a directory you may write to?",
			path, err, filepath.Dir(path))
	}
	return nil
}
