package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// state reads gauges from the ledger at every scrape. If the ledger cannot answer,
// they are absent and sitrep_ledger_errors_total counts it: an old number would be
// an invented one.
type state struct {
	m       *Metrics
	pending *prometheus.Desc
	oldest  *prometheus.Desc
	due     *prometheus.Desc
}

// A scrape waits for the ledger this long at most.
const stateTimeout = 5 * time.Second

func newState(m *Metrics) *state {
	return &state{
		m: m,
		pending: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "deliveries_pending"),
			"Deliveries without an outcome yet: waiting, or retrying after a failure.", []string{"channel", "state"}, nil),
		oldest: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "oldest_pending_timestamp_seconds"),
			"When the oldest pending delivery was accepted, in seconds since 1970; absent if none is pending.", []string{"channel"}, nil),
		due: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "next_update_due_timestamp_seconds"),
			"When the customer was promised the next update, in seconds since 1970; absent without a promise.", []string{"customer"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	out <- s.pending
	out <- s.oldest
	out <- s.due
}

// Collect implements prometheus.Collector.
func (s *state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	o := s.m.options()
	s.collectPending(ctx, o, out)
	s.collectPromises(ctx, o, out)
}

// The states that a pending delivery can be in.
func pendingStates() []string { return []string{"waiting", "retrying"} }

type queue struct{ channel, state string }

func (s *state) collectPending(ctx context.Context, o Options, out chan<- prometheus.Metric) {
	if o.Pending == nil {
		return
	}
	rows, err := o.Pending(ctx)
	if err != nil {
		s.m.ledger.Inc()
		return
	}
	s.m.mu.RLock()
	defer s.m.mu.RUnlock()
	counts := map[queue]int{}
	for _, channel := range o.Channels {
		for _, state := range pendingStates() {
			counts[queue{channel, state}] = 0
		}
	}
	oldest := map[string]time.Time{}
	for _, r := range rows {
		channel := s.m.channel(r.Channel)
		counts[queue{channel, stateOf(r.State)}] += r.Count
		if at, ok := oldest[channel]; r.Count > 0 && (!ok || r.Oldest.Before(at)) {
			oldest[channel] = r.Oldest
		}
	}
	for q, n := range counts {
		out <- prometheus.MustNewConstMetric(s.pending, prometheus.GaugeValue, float64(n), q.channel, q.state)
	}
	for channel, at := range oldest {
		out <- prometheus.MustNewConstMetric(s.oldest, prometheus.GaugeValue, seconds(at), channel)
	}
}

func stateOf(s string) string {
	if s == "retrying" {
		return s
	}
	return "waiting"
}

func (s *state) collectPromises(ctx context.Context, o Options, out chan<- prometheus.Metric) {
	if o.Promises == nil {
		return
	}
	rows, err := o.Promises(ctx)
	if err != nil {
		s.m.ledger.Inc()
		return
	}
	s.m.mu.RLock()
	defer s.m.mu.RUnlock()
	due := map[string]time.Time{}
	for _, r := range rows {
		customer := s.m.customer(r.Customer)
		if at, ok := due[customer]; !r.Due.IsZero() && (!ok || r.Due.Before(at)) {
			due[customer] = r.Due
		}
	}
	for customer, at := range due {
		out <- prometheus.MustNewConstMetric(s.due, prometheus.GaugeValue, seconds(at), customer)
	}
}

func seconds(t time.Time) float64 {
	const microsPerSecond = 1e6
	return float64(t.UnixMicro()) / microsPerSecond
}
