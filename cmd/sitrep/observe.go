package main

import (
	"context"

	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/internal/metrics"
	"sitrep/internal/tracing"
	"sitrep/ledger"
)

// openMetrics makes the metrics of one configuration. What is pending or promised
// is asked of the ledger at each scrape.
func (a *app) openMetrics(cfg *config.Config, l ledger.Reader) *metrics.Metrics {
	o := metrics.Options{
		Version:  version,
		Pending:  func(ctx context.Context) ([]metrics.Pending, error) { return pendingGauges(ctx, l) },
		Promises: func(ctx context.Context) ([]metrics.Promise, error) { return promiseGauges(ctx, l) },
	}
	for _, p := range cfg.Customers {
		o.Customers = append(o.Customers, p.ID)
	}
	for _, c := range cfg.Channels {
		o.Channels = append(o.Channels, c.ID)
	}
	for _, out := range ledger.Outcomes() {
		o.Outcomes = append(o.Outcomes, string(out))
	}
	return metrics.New(o)
}

// openTraces is where spans go: nil and nil if nowhere.
func (a *app) openTraces(ctx context.Context, t config.Traces) (*tracing.Traces, func(dispatcher.Span), error) {
	if t.Endpoint == "" {
		return nil, nil, nil
	}
	x, err := tracing.Open(ctx, tracing.Options{
		Endpoint: t.Endpoint, Token: t.Token, Headers: t.Headers, CAFile: t.CAFile, Sample: t.Sample, Version: version, Log: a.log(),
	})
	if err != nil {
		return nil, nil, err
	}
	return x, x.Span, nil
}

func pendingGauges(ctx context.Context, l ledger.Reader) ([]metrics.Pending, error) {
	tallies, err := l.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
	if err != nil {
		return nil, err
	}
	type queue struct{ channel, state string }
	sums := map[queue]metrics.Pending{}
	for _, t := range tallies {
		q := queue{t.Channel, "waiting"}
		if t.Retrying {
			q.state = "retrying"
		}
		p := sums[q]
		p.Channel, p.State, p.Count = q.channel, q.state, p.Count+t.Count
		if p.Oldest.IsZero() || t.Oldest.Before(p.Oldest) {
			p.Oldest = t.Oldest
		}
		sums[q] = p
	}
	all := make([]metrics.Pending, 0, len(sums))
	for _, p := range sums {
		all = append(all, p)
	}
	return all, nil
}

// promiseGauges are the promises of all open incidents.
func promiseGauges(ctx context.Context, l ledger.Reader) ([]metrics.Promise, error) {
	open, err := l.Incidents(ctx, ledger.IncidentQuery{Open: true})
	if err != nil {
		return nil, err
	}
	var all []metrics.Promise
	for _, i := range open {
		if !i.Next.IsZero() {
			all = append(all, metrics.Promise{Customer: i.Customer, Due: i.Next})
		}
	}
	return all, nil
}
