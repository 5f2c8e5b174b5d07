package metrics

import "slices"

// What is counted of mail that came back. The names are those of the receiver and of the
// ledger.
const (
	outcomeBounced = "bounced"
	kindOther      = "other"
)

func (m *Metrics) fillReturns(o Options) {
	for _, channel := range o.Returns {
		for _, kind := range o.ReturnKinds {
			m.returns.WithLabelValues(channel, kind)
		}
	}
}

// Untold counts a delivery that was refused for good, to a recipient that is to be told
// by contract.
func (m *Metrics) Untold(customer, channel string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	m.required.WithLabelValues(m.customer(customer), m.channel(channel)).Inc()
}

// CameBack counts a message that came back on a channel, by what it was.
func (m *Metrics) CameBack(channel, kind string) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if !slices.Contains(m.o.ReturnKinds, kind) {
		kind = kindOther
	}
	m.returns.WithLabelValues(m.channel(channel), kind).Inc()
}

// Bounced counts a delivery whose message was returned. If it was counted as delivered
// before, it is bounced now; otherwise (nobody knew) it has been counted as not delivered
// already. Required says that the recipient is to be told by contract.
func (m *Metrics) Bounced(customer, channel string, delivered, required bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	customer, channel = m.customer(customer), m.channel(channel)
	if delivered {
		m.deliveries.WithLabelValues(customer, channel, outcomeBounced).Inc()
	}
	if required {
		m.required.WithLabelValues(customer, channel).Inc()
	}
}
