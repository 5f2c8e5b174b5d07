package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/channels/builtin"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/metrics"
	"sitrep/ledger"
	"sitrep/renderers"
	"sitrep/statuspage"
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
	dispatcher *dispatcher.Dispatcher
}

// loadConfig finds, reads and checks the whole configuration: every mistake at
// once. It opens nothing.
func (a *app) loadConfig() (*config.Config, error) {
	path, err := config.Find(a.config, a.env)
	if err != nil {
		return nil, &coded{exitConfig, fmt.Errorf("%w", err)}
	}
	cfg, err := config.Load(path, a.env)
	if cfg != nil {
		err = cfg.Check(a.checks())
	}
	if err == nil {
		_, err = a.openRenderers(cfg)
	}
	if err != nil {
		return nil, &coded{exitConfig, fmt.Errorf("the configuration is refused; nothing was sent\n%w", err)}
	}
	return cfg, nil
}

// checks is what config cannot know by itself: the kinds of channels.
func (a *app) checks() config.Checks {
	kinds := builtin.Kinds()
	return config.Checks{
		Kinds: slices.Sorted(maps.Keys(kinds)),
		Open: func(ch config.Channel) error {
			_, err := a.openChannel(ch, nil)
			return err
		},
		Address: func(kind, address string) error {
			if check := kinds[kind].Address; check != nil {
				return check(address)
			}
			return nil
		},
	}
}

func (a *app) openChannel(ch config.Channel, pages any) (channels.Channel, error) {
	kind, ok := builtin.Kinds()[ch.Kind]
	if !ok {
		return nil, fmt.Errorf("%q is not a kind of channel", ch.Kind)
	}
	return kind.New(ch.Decode, channels.Env{
		ID: ch.ID, Log: a.log().With("channel", ch.ID), Now: a.now, Agent: agent(), Pages: pages,
	})
}

// openRenderers loads the operator's templates, if any, and proves with a canary
// that no list gets to see what it must not.
func (a *app) openRenderers(cfg *config.Config) (*renderers.Set, error) {
	set := renderers.Builtin()
	if cfg.TemplatesDir != "" {
		var err error
		if set, err = renderers.Load(os.DirFS(cfg.TemplatesDir)); err != nil {
			return nil, fmt.Errorf("templates_dir %s: %w", cfg.TemplatesDir, err)
		}
	}
	scopes, err := a.scopes(cfg)
	if err != nil {
		return nil, err
	}
	return set, set.Verify(scopes)
}

// scopes is every way this configuration uses the templates.
func (a *app) scopes(cfg *config.Config) ([]renderers.Scope, error) {
	specs := map[string]channels.Spec{}
	for _, ch := range cfg.Channels {
		c, err := a.openChannel(ch, nil)
		if err != nil {
			return nil, err
		}
		specs[ch.ID] = c.Spec()
	}
	var scopes []renderers.Scope
	for _, p := range cfg.Customers {
		for _, l := range p.Lists {
			seen := map[string]bool{}
			for _, r := range l.To {
				if seen[r.Channel] {
					continue
				}
				seen[r.Channel] = true
				spec := specs[r.Channel]
				scopes = append(scopes, renderers.Scope{
					Customer: p, Channel: r.Channel, Format: spec.Format, Limits: spec.Limits, Audience: l.Audience, List: l.ID,
				})
			}
		}
	}
	return scopes, nil
}

// openLedger opens the durable record that the configuration names.
func openLedger(ctx context.Context, cfg *config.Config) (ledger.Ledger, error) {
	return openAddress(ctx, cfg.LedgerAddress)
}

// withLedger runs f with the ledger, for commands that only read.
func (a *app) withLedger(ctx context.Context, f func(context.Context, ledger.Ledger) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	return reading(ctx, cfg, f)
}

// withCustomer is withLedger for commands about the customer that name means.
func (a *app) withCustomer(ctx context.Context, name string, f func(context.Context, ledger.Ledger, incident.Party) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	p, err := party(cfg, name)
	if err != nil {
		return err
	}
	return reading(ctx, cfg, func(ctx context.Context, l ledger.Ledger) error { return f(ctx, l, p) })
}

func reading(ctx context.Context, cfg *config.Config, f func(context.Context, ledger.Ledger) error) error {
	l, err := openLedger(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, l), l.Close())
}

// open wires the whole house. watch hears every event; it may be nil.
func (a *app) open(ctx context.Context, watch func(dispatcher.Event)) (*house, error) {
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintf(a.errOut, "%s %s\n", a.style(a.errOut).yellow("warning:"), w)
	}
	l, err := openLedger(ctx, cfg)
	if err != nil {
		return nil, err
	}
	h, err := a.wire(cfg, l, watch)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return h, nil
}

// wire puts the house together around an open ledger.
func (a *app) wire(cfg *config.Config, l ledger.Ledger, watch func(dispatcher.Event)) (*house, error) {
	h := &house{cfg: cfg, ledger: l, guard: renderers.Policy{
		Hosts: cfg.LeakGuard.InternalHosts, Words: cfg.LeakGuard.Words, Parties: cfg.Customers,
	}}
	var err error
	if h.renderers, err = a.openRenderers(cfg); err != nil {
		return nil, &coded{exitConfig, err}
	}
	pages := statuspage.NewPublisher(l, cfg.Page.BaseURL, a.now)
	for _, ch := range cfg.Channels {
		c, err := a.openChannel(ch, pages)
		if err != nil {
			return nil, &coded{exitConfig, err}
		}
		h.lanes = append(h.lanes, dispatcher.Lane{
			ID: ch.ID, Kind: ch.Kind, Channel: c, Workers: ch.Workers, Timeout: ch.Timeout, Expire: ch.ExpireAfter,
			Ambiguous: channels.AmbiguousPolicy(ch.OnAmbiguous),
			Backoff:   dispatcher.Backoff{Base: ch.Retry.Base, Max: ch.Retry.Max},
		})
	}
	h.metrics = a.openMetrics(cfg, l)
	h.dispatcher, err = dispatcher.New(dispatcher.Options{
		Ledger: l, Lanes: h.lanes, Parties: cfg.Customers, Renderers: h.renderers, Guard: h.guard,
		RequireNext: cfg.RequireNextUpdate, Record: h.metrics, OnEvent: watch, Log: a.log(), Now: a.now, Lease: a.lease,
	})
	return h, err
}

// Close ends the channels' sessions and closes the ledger.
func (h *house) Close() error {
	var errs []error
	for _, lane := range h.lanes {
		if c, ok := lane.Channel.(channels.Closer); ok {
			errs = append(errs, c.Close())
		}
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

// readTimeout bounds reading the ledger after an interruption, when the command's
// own context is already over.
const readTimeout = 10 * time.Second
