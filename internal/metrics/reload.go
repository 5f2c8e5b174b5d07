package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Reload takes up a new configuration: series of new customers and channels are there
// at zero, those of customers and channels that are gone are removed, and all others
// go on counting from where they were. What still happens to a removed customer or
// channel counts as "other".
//
// Pending and Promises replace the earlier ones; if New was given neither, they are
// not read. Version and Process stay as they were at New. It says nothing about
// whether loading went well: that is [Metrics.Reloaded].
func (m *Metrics) Reload(o Options) { m.configure(o) }

func (m *Metrics) configure(o Options) {
	m.mu.Lock()
	defer m.mu.Unlock()
	customers, channels := m.customers, m.channels
	m.o, m.customers = o, customerLabels(o.Customers)
	m.forgetCustomers(customers)
	m.forgetChannels(channels, o.Channels)
	m.fill(o)
	m.channels = setOf(o.Channels)
	m.overflow.Set(float64(max(0, len(o.Customers)-MaxCustomers)))
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// forgetCustomers removes the series of labels that no customer has any more.
func (m *Metrics) forgetCustomers(before map[string]string) {
	kept := map[string]bool{}
	for _, label := range m.customers {
		kept[label] = true
	}
	for label := range maps.Values(before) {
		if kept[label] {
			continue
		}
		gone := prometheus.Labels{"customer": label}
		m.deliveries.DeletePartialMatch(gone)
		m.lastSuccess.DeletePartialMatch(gone)
		m.required.DeletePartialMatch(gone)
	}
}

func (m *Metrics) forgetChannels(before map[string]bool, now []string) {
	for id := range before {
		if slices.Contains(now, id) {
			continue
		}
		gone := prometheus.Labels{"channel": id}
		for _, vec := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
			m.deliveries, m.attempts, m.failures, m.templates, m.returns, m.required, m.duration, m.latency, m.lastSuccess, m.up,
		} {
			vec.DeletePartialMatch(gone)
		}
	}
}

// options are those in force.
func (m *Metrics) options() Options {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.o
}
