package metrics

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sitrep/channels"
)

// Outcome and parts as the recorder's caller names them.
const (
	outcomeDelivered = "delivered"
	partTemplate     = "template"
)

// Attempt counts one try at a delivery; an empty fault is success.
func (m *Metrics) Attempt(channel, delivery string, fault channels.Fault, took time.Duration) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	channel = m.channel(channel)
	m.attempts.WithLabelValues(channel, resultOf(fault)).Inc()
	if fault != "" {
		m.failures.WithLabelValues(channel, reasonOf(fault)).Inc()
	}
	m.attempted.observe(m.duration.WithLabelValues(channel), took, delivery)
}

func resultOf(f channels.Fault) string {
	switch {
	case f == "":
		return resultOK
	case f == channels.Ambiguous:
		return resultAmbiguous
	case f.Final():
		return resultPermanent
	default:
		return resultRetryable
	}
}

// reasonOf keeps the label to the closed set of faults.
func reasonOf(f channels.Fault) string {
	if f.Valid() {
		return string(f)
	}
	return string(channels.Unavailable)
}

// Settled counts a delivery's outcome; age is the time since it was accepted.
func (m *Metrics) Settled(customer, channel, severity, outcome, delivery string, age time.Duration) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	customer, channel = m.customer(customer), m.channel(channel)
	m.deliveries.WithLabelValues(customer, channel, outcome).Inc()
	if outcome != outcomeDelivered {
		return
	}
	m.lastSuccess.WithLabelValues(customer, channel).SetToCurrentTime()
	m.settled.observe(m.latency.WithLabelValues(channel, severityOf(severity)), age, delivery)
}

func severities() []string { return []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5", labelNone} }

// severityOf keeps the label to SEV1 to SEV5 and none.
func severityOf(s string) string {
	if slices.Contains(severities(), s) {
		return s
	}
	return labelNone
}

// exemplars choose the deliveries by which a graph leads to the ledger's rows. A bucket
// shows its latest, and a scrape comes every few seconds: more than one in a while would
// only cost what a good part of a delivery does. A slow one is always worth a look.
type exemplars struct{ latest atomic.Int64 } // when, in nanoseconds since 1970

const (
	exemplarEvery = 10 * time.Millisecond
	exemplarSlow  = time.Second
)

// due reports whether one that took so long is to be an exemplar.
func (e *exemplars) due(took time.Duration) bool {
	now, latest := time.Now().UnixNano(), e.latest.Load()
	return took >= exemplarSlow || time.Duration(now-latest).Abs() >= exemplarEvery && e.latest.CompareAndSwap(latest, now)
}

// observe adds a value, some of them with the delivery as exemplar.
func (e *exemplars) observe(o prometheus.Observer, took time.Duration, delivery string) {
	seconds := max(0, took).Seconds()
	x, ok := o.(prometheus.ExemplarObserver)
	if !ok || delivery == "" || !e.due(took) {
		o.Observe(seconds)
		return
	}
	x.ObserveWithExemplar(seconds, prometheus.Labels{"delivery": delivery})
}

// Up says whether a channel works.
func (m *Metrics) Up(channel string, up bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v := 0.0
	if up {
		v = 1
	}
	m.up.WithLabelValues(m.channel(channel)).Set(v)
}

// Trouble counts what goes wrong outside any delivery: with an operator's template
// ("template") or with the ledger.
func (m *Metrics) Trouble(part, channel string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if part == partTemplate {
		m.templates.WithLabelValues(m.channel(channel)).Inc()
		return
	}
	m.ledger.Inc()
}

// Reloaded says whether the configuration was last loaded without a mistake.
func (m *Metrics) Reloaded(ok bool) {
	v := 0.0
	if ok {
		v = 1
	}
	m.reload.Set(v)
}
