package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sitrep/channels"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/metrics"
	"sitrep/internal/tracing"
	"sitrep/ledger"
	"sitrep/renderers"
)

// house is everything a command that sends needs, wired together from one
// configuration.
type house struct {
	cfg        *config.Config
	ledger     ledger.Ledger
	lanes      []dispatcher.Lane
	renderers  *renderers.Set
	guard      renderers.Policy
	metrics    *metrics.Metrics
	traces     *tracing.Traces // nil: none
	dispatcher *dispatcher.Dispatcher
}

// withCustomer runs f with the ledger, for commands that only read, about the customer
// that name means.
func (a *app) withCustomer(ctx context.Context, name string, f func(context.Context, ledger.Ledger, incident.Party) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	p, err := party(cfg, name)
	if err != nil {
		return err
	}
	return a.reading(ctx, cfg, func(ctx context.Context, l ledger.Ledger) error { return f(ctx, l, p) })
}

// mostOpenings is how often a ledger is opened that others begin to write to while it
// is being read.
const mostOpenings = 5

// reading runs f with the ledger, open for reading only. If somebody begins to write to
// it meanwhile, f runs again: it says nothing before it has read everything.
func (a *app) reading(ctx context.Context, cfg *config.Config, f func(context.Context, ledger.Ledger) error) error {
	return steadily(func() error {
		l, err := a.openReading(ctx, cfg)
		if err != nil {
			return err
		}
		return errors.Join(f(ctx, l), l.Close())
	})
}

// writing runs f with the ledger.
func writing(ctx context.Context, cfg *config.Config, f func(context.Context, ledger.Ledger) error) error {
	l, err := openLedger(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, l), l.Close())
}

// withLedger is reading or writing.
type withLedger func(context.Context, *config.Config, func(context.Context, ledger.Ledger) error) error

// steadily runs f until the ledger stood still while it was read.
func steadily(f func() error) (err error) {
	for range mostOpenings {
		if err = f(); !errors.Is(err, ledger.ErrChanged) {
			return err
		}
	}
	return err
}

// open wires the whole house. watch hears every event; it may be nil.
func (a *app) open(ctx context.Context, watch func(dispatcher.Event)) (*house, error) {
	return a.openAround(ctx, openLedger, watch)
}

// openAround is open with the ledger as it is to be opened.
func (a *app) openAround(
	ctx context.Context, open func(context.Context, *config.Config) (ledger.Ledger, error), watch func(dispatcher.Event),
) (*house, error) {
	read, err := a.load()
	if err != nil {
		return nil, err
	}
	for _, w := range read.cfg.Warnings() {
		fmt.Fprintf(a.errOut, "%s %s\n", a.style(a.errOut).yellow("warning:"), w)
	}
	l, err := open(ctx, read.cfg)
	if err != nil {
		return nil, err
	}
	h, err := a.wire(ctx, read, l, watch)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return h, nil
}

// wire puts the house together around an open ledger.
func (a *app) wire(ctx context.Context, read *loaded, l ledger.Ledger, watch func(dispatcher.Event)) (*house, error) {
	cfg := read.cfg
	h := &house{cfg: cfg, ledger: l, renderers: read.renderers, guard: renderers.Policy{
		Hosts: cfg.LeakGuard.InternalHosts, Words: cfg.LeakGuard.Words, Parties: cfg.Customers,
	}}
	var err error
	var onSpan func(dispatcher.Span)
	if h.traces, onSpan, err = a.openTraces(ctx, cfg.Traces); err != nil {
		return nil, &coded{exitConfig, err}
	}
	read.pages.on(l, cfg, a.now)
	for _, ch := range cfg.Channels {
		h.lanes = append(h.lanes, laneOf(ch, read.channels[ch.ID]))
	}
	h.metrics = a.openMetrics(cfg, l)
	h.dispatcher, err = dispatcher.New(dispatcher.Options{
		Ledger: l, Lanes: h.lanes, Parties: cfg.Customers, Renderers: h.renderers, Guard: h.guard,
		RequireNext: cfg.RequireNextUpdate, Record: h.metrics, OnEvent: watch, OnSpan: onSpan, Log: a.log(), Now: a.now, Lease: a.lease,
	})
	return h, err
}

func laneOf(ch config.Channel, c channels.Channel) dispatcher.Lane {
	return dispatcher.Lane{
		ID: ch.ID, Kind: ch.Kind, Channel: c, Workers: ch.Workers, Timeout: ch.Timeout, Expire: ch.ExpireAfter,
		Ambiguous: channels.AmbiguousPolicy(ch.OnAmbiguous),
		Backoff:   dispatcher.Backoff{Base: ch.Retry.Base, Max: ch.Retry.Max},
	}
}

// Close ends the channels' sessions, sends the last traces and closes the ledger.
func (h *house) Close() error {
	var errs []error
	for _, lane := range h.lanes {
		if c, ok := lane.Channel.(channels.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	if h.traces != nil {
		h.traces.Close(context.Background())
	}
	return errors.Join(append(errs, h.ledger.Close())...)
}

// with opens the house, runs f and closes it again.
func (a *app) with(ctx context.Context, watch func(dispatcher.Event), f func(context.Context, *house) error) error {
	h, err := a.open(ctx, watch)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, h), h.Close())
}

// withReading is with for commands that plan and send nothing: the ledger is open for
// reading only, and f may run again (see reading).
func (a *app) withReading(ctx context.Context, f func(context.Context, *house) error) error {
	return steadily(func() error {
		h, err := a.openAround(ctx, a.openReading, nil)
		if err != nil {
			return err
		}
		return errors.Join(f(ctx, h), h.Close())
	})
}

// readTimeout bounds reading the ledger after an interruption, when the command's
// own context is already over.
const readTimeout = 10 * time.Second
