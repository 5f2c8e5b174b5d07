package metrics

import (
	"slices"
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
	observe(m.duration.WithLabelValues(channel), took, delivery)
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
	observe(m.latency.WithLabelValues(channel, severityOf(severity)), age, delivery)
}

func severities() []string { return []string{"SEV1", "SEV2", "SEV3", "SEV4", "SEV5", labelNone} }

// severityOf keeps the label to SEV1 to SEV5 and none.
func severityOf(s string) string {
	if slices.Contains(severities(), s) {
		return s
	}
	return labelNone
}

// observe adds a value with the delivery as its exemplar, so that a graph leads to
// the ledger's row.
func observe(o prometheus.Observer, took time.Duration, delivery string) {
	seconds := max(0, took).Seconds()
	e, ok := o.(prometheus.ExemplarObserver)
	if !ok || delivery == "" {
		o.Observe(seconds)
		return
	}
	e.ObserveWithExemplar(seconds, prometheus.Labels{"delivery": delivery})
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
