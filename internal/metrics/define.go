package metrics

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const namespace = "sitrep"

// results are how an attempt can end, by what follows from it.
const (
	resultOK        = "ok"
	resultRetryable = "retryable"
	resultPermanent = "permanent"
	resultAmbiguous = "ambiguous"
)

func results() []string {
	return []string{resultOK, resultRetryable, resultPermanent, resultAmbiguous}
}

func (m *Metrics) define() {
	m.deliveries = counters("deliveries_total",
		"Deliveries that reached their outcome, each once; one that came back afterwards counts as bounced too.", "customer", "channel", "outcome")
	m.attempts = counters("delivery_attempts_total",
		"Attempts at deliveries by how they ended: ok, retryable, permanent or ambiguous.", "channel", "result")
	m.failures = counters("delivery_failures_total",
		"Failed attempts by reason.", "channel", "reason")
	m.templates = counters("template_errors_total",
		"Times an operator's template failed and the built-in one was used.", "channel")
	m.returns = counters("bounces_total",
		"Mail that came back, by what it was: failure, delay, auto_reply, other, unmatched or forged.", "channel", "kind")
	m.required = counters("required_bounces_total",
		"Messages to recipients that are to be told by contract that were refused for good or returned.", "customer", "channel")
	m.duration = histograms("delivery_attempt_duration_seconds",
		"How long attempts took.", attemptBuckets(), "channel")
	m.latency = histograms("delivery_latency_seconds",
		"Time from an update's acceptance to its delivery, of what was delivered.", latencyBuckets(), "channel", "severity")
	m.lastSuccess = gauges("last_delivery_success_timestamp_seconds",
		"When a delivery last got through, in seconds since 1970.", "customer", "channel")
	m.up = gauges("channel_up",
		"1 while the channel works, 0 while it rests because the remote side refuses it.", "channel")
	m.ledger = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "ledger_errors_total",
		Help: "Times the ledger could not be read or written; nothing is lost, it is tried again.",
	})
	m.reload = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "config_last_reload_successful",
		Help: "1 if the configuration was last loaded without a mistake, 0 if the one before is in use.",
	})
	m.overflow = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "customers_overflowed",
		Help: "Customers without series of their own, because there are too many: they count under _overflow.",
	})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

// histograms are classic and native at once: whichever the server can take.
func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
}

// An attempt takes milliseconds (a local relay) to a minute (a long timeout).
func attemptBuckets() []float64 {
	return []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// A delivery takes less than a second, or as long as an outage of its channel.
func latencyBuckets() []float64 {
	return []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400}
}

// clock lets Prometheus compare: timestamp(sitrep_clock_timestamp_seconds) is its own
// clock at the same scrape.
func clock() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "clock_timestamp_seconds",
		Help: "The program's clock when it was asked, in seconds since 1970.",
	}, func() float64 { return seconds(time.Now()) })
}

func buildInfo(version string) prometheus.Collector {
	if version == "" {
		version = "unknown"
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info",
		Help:        "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	g.Set(1)
	return g
}
