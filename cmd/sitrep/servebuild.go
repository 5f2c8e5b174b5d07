package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"sitrep/channels"
	"sitrep/channels/builtin"
	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/internal/metrics"
	"sitrep/ledger"
	"sitrep/renderers"
	"sitrep/server"
	"sitrep/statuspage"
)

// generation is what one reading of the configuration made of it. It never changes.
type generation struct {
	cfg        *config.Config
	options    dispatcher.Options
	dispatcher *dispatcher.Dispatcher
	reminder   *dispatcher.Reminder
	channels   map[string]opened // by id
	pages      http.Handler
	inputs     []server.Input
	exits      []server.Exit
}

// opened is a channel, and what it was made from.
type opened struct {
	channel channels.Channel
	from    stanza
}

// stanza is all that the making of a channel depends on.
type stanza struct {
	kind   string
	config any
	files  map[string][sha256.Size]byte // what the files hold that it names
	base   string                       // of the pages, for a page
}

func (g *generation) setup() server.Setup {
	return server.Setup{Dispatcher: g.dispatcher, Parties: g.cfg.Customers, RequireNext: g.cfg.RequireNextUpdate, Inputs: g.inputs, Exits: g.exits, Address: addressCheck(g.cfg)}
}

// build makes everything of a configuration but the dispatcher. Channels that are as
// they were in the generation before are that one's.
func (d *daemon) build(read *loaded, before *generation) (*generation, error) {
	cfg := read.cfg
	g := &generation{cfg: cfg, channels: map[string]opened{}, inputs: inputs(cfg)}
	if err := server.CheckInputs(g.inputs, cfg.Customers); err != nil {
		return nil, err
	}
	var err error
	if g.exits, err = exits(cfg); err != nil {
		return nil, err
	}
	g.pages, err = statuspage.New(statuspage.Options{Pages: d.ledger, Title: cfg.Page.Title, BaseURL: cfg.Page.BaseURL, Now: d.a.now, Log: d.log})
	if err != nil {
		return nil, err
	}
	g.options = dispatcher.Options{
		Ledger: d.ledger, Parties: cfg.Customers, Renderers: read.renderers, RequireNext: cfg.RequireNextUpdate,
		Guard:  renderers.Policy{Hosts: cfg.LeakGuard.InternalHosts, Words: cfg.LeakGuard.Words, Parties: cfg.Customers},
		Record: d.metrics, OnEvent: d.event, OnSpan: d.span, Log: d.log, Now: d.a.now, Lease: d.a.lease, Grace: d.started.Serve.ShutdownTimeout * 8 / 10,
	}
	if err := d.lanes(g, read, before); err != nil {
		return nil, errors.Join(err, g.closeChannels(before))
	}
	return g, nil
}

func (d *daemon) lanes(g *generation, read *loaded, before *generation) error {
	read.pages.on(d.ledger, g.cfg, d.a.now)
	for _, ch := range g.cfg.Channels {
		from, err := stanzaOf(ch, g.cfg.Page)
		if err != nil {
			return err
		}
		x := opened{channel: read.channels[ch.ID], from: from}
		if was, ok := before.channel(ch.ID); ok && reflect.DeepEqual(was.from, from) {
			x = was
		}
		g.channels[ch.ID] = x
		g.options.Lanes = append(g.options.Lanes, laneOf(ch, x.channel))
	}
	return nil
}

func (g *generation) channel(id string) (opened, bool) {
	if g == nil {
		return opened{}, false
	}
	x, ok := g.channels[id]
	return x, ok
}

// closeChannels ends the sessions of channels that the other generation does not use.
func (g *generation) closeChannels(but *generation) error {
	var errs []error
	for id, x := range g.channels {
		if other, ok := but.channel(id); ok && other.channel == x.channel {
			continue
		}
		if c, ok := x.channel.(channels.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

func stanzaOf(ch config.Channel, page config.Page) (stanza, error) {
	s := stanza{kind: ch.Kind, files: map[string][sha256.Size]byte{}}
	t := reflect.TypeOf(builtin.Kinds()[ch.Kind].Config)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	v := reflect.New(t)
	if err := ch.Decode(v.Interface()); err != nil {
		return s, err
	}
	s.config = v.Elem().Interface()
	if ch.Kind == "page" {
		s.base = page.BaseURL
	}
	return s, s.read(v.Elem())
}

// read takes in the files that keys ending in _file name.
func (s *stanza) read(v reflect.Value) error {
	if v.Kind() != reflect.Struct {
		return nil
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case !f.IsExported():
		case f.Type.Kind() == reflect.Struct:
			if err := s.read(v.Field(i)); err != nil {
				return err
			}
		case f.Type.Kind() == reflect.String && strings.HasSuffix(key, "_file") && v.Field(i).String() != "":
			content, err := os.ReadFile(v.Field(i).String())
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			s.files[v.Field(i).String()] = sha256.Sum256(content)
		}
	}
	return nil
}

// files are all that the configuration was made from.
func (g *generation) files() []string {
	all := append([]string{g.cfg.Path}, g.cfg.Files()...)
	for _, x := range g.channels {
		for name := range x.from.files {
			all = append(all, name)
		}
	}
	for i, name := range all {
		if path, err := filepath.Abs(name); err == nil {
			all[i] = path
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func inputs(cfg *config.Config) []server.Input {
	all := make([]server.Input, 0, len(cfg.Inputs))
	for _, in := range cfg.Inputs {
		all = append(all, server.Input{
			ID: in.ID, Kind: in.Kind, Secret: in.Secret, Customer: in.Customer, CustomerLabel: in.CustomerLabel,
			Severity: in.Severity, SeverityLabel: in.SeverityLabel, Severities: in.Severities, Status: in.Status,
			Summary: in.Summary, Impact: in.Impact, Public: in.Public, Next: in.Next, Only: in.Only, Draft: in.Draft,
		})
	}
	return all
}

// measured is what the metrics of a configuration are made from.
func (d *daemon) measured(cfg *config.Config) metrics.Options {
	o := metrics.Options{
		Version: version, Process: true,
		Pending:  func(ctx context.Context) ([]metrics.Pending, error) { return pendingGauges(ctx, d.ledger) },
		Promises: func(ctx context.Context) ([]metrics.Promise, error) { return promiseGauges(ctx, d.ledger) },
	}
	for _, p := range cfg.Customers {
		o.Customers = append(o.Customers, p.ID)
	}
	for _, c := range cfg.Channels {
		o.Channels = append(o.Channels, c.ID)
	}
	if id := cfg.Bounces.Channel; id != "" {
		o.Returns, o.ReturnKinds = []string{id}, returnKinds()
	}
	for _, out := range ledger.Outcomes() {
		o.Outcomes = append(o.Outcomes, string(out))
	}
	return o
}

func (d *daemon) reminding(cfg *config.Config) dispatcher.Reminding {
	r := dispatcher.Reminding{Rule: rule(cfg.Remind), Customers: map[string]dispatcher.ReminderRule{}}
	for id, own := range cfg.CustomerRemind {
		r.Customers[id] = rule(own)
	}
	r.Duty, _ = d.ledger.(ledger.Duty)
	return r
}

func rule(r config.Remind) dispatcher.ReminderRule {
	return dispatcher.ReminderRule{At: r.At, Escalate: dispatcher.Escalation{After: r.After, List: r.List}}
}
