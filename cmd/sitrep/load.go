package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/channels/builtin"
	"sitrep/config"
	"sitrep/ledger"
	"sitrep/renderers"
	"sitrep/statuspage"
)

// loaded is a configuration that was found right, and what was made of it to find
// out, so that nothing is made twice.
type loaded struct {
	cfg       *config.Config
	renderers *renderers.Set
	channels  map[string]channels.Channel // by id
	pages     *pagesLater                 // what the channels publish on
}

// pagesLater are the status pages for channels that are made before the ledger is
// open, on which the pages are. Nobody publishes before it is.
type pagesLater struct{ *statuspage.Publisher }

func (p *pagesLater) on(l ledger.Pages, cfg *config.Config, now func() time.Time) {
	p.Publisher = statuspage.NewPublisher(l, cfg.Page.BaseURL, now)
}

// loadConfig is load for commands that need nothing but the configuration.
func (a *app) loadConfig() (*config.Config, error) {
	read, err := a.load()
	if err != nil {
		return nil, err
	}
	return read.cfg, nil
}

// load finds, reads and checks the whole configuration: every mistake at once. It
// opens no ledger and no connection.
func (a *app) load() (*loaded, error) {
	path, err := config.Find(a.config, a.env)
	if err != nil {
		return nil, &coded{exitConfig, fmt.Errorf("%w", err)}
	}
	read := &loaded{channels: map[string]channels.Channel{}, pages: &pagesLater{}}
	read.cfg, err = config.Load(path, a.env)
	if read.cfg != nil {
		a.serveLogOnce(read.cfg.Serve)
		err = read.cfg.Check(a.checks(read))
	}
	if err == nil {
		read.renderers, err = openRenderers(read)
	}
	if err != nil {
		return nil, a.configRefused(err)
	}
	return read, nil
}

// configRefused is err, which is what is wrong with the configuration, for people. Those
// who wanted to send hear that nothing was sent.
func (a *app) configRefused(err error) error {
	words := "the configuration is refused"
	if a.undone != "" {
		words += "; " + a.undone
	}
	return &coded{exitConfig, fmt.Errorf("%s\n%w", words, err)}
}

// checks is what config cannot know by itself: the kinds of channels. The channels
// that it opens are kept.
func (a *app) checks(read *loaded) config.Checks {
	kinds := builtin.Kinds()
	return config.Checks{
		Kinds: slices.Sorted(maps.Keys(kinds)),
		Open: func(ch config.Channel) error {
			c, err := a.openChannel(ch, read.pages)
			if err != nil {
				return err
			}
			read.channels[ch.ID] = c
			_, err = exitsOf(ch, read.cfg.Page.BaseURL)
			return errors.Join(err, checkReturns(read.cfg.Bounces, ch, c))
		},
		Warn:    func(ch config.Channel) error { return warnOfExit(ch, read.cfg.Page.BaseURL) },
		Address: func(kind, address string) error { return checkAddress(kinds[kind], address) },
	}
}

func checkAddress(kind channels.Kind, address string) error {
	if kind.Address == nil {
		return nil
	}
	return kind.Address(address)
}

// addressCheck says what is wrong with an address on a channel of a configuration.
func addressCheck(cfg *config.Config) func(channel, address string) error {
	kinds := builtin.Kinds()
	return func(channel, address string) error {
		ch, ok := cfg.Channel(channel)
		if !ok {
			return nil // that is a mistake of another sort
		}
		return checkAddress(kinds[ch.Kind], address)
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
func openRenderers(read *loaded) (*renderers.Set, error) {
	set, dir := renderers.Builtin(), read.cfg.TemplatesDir
	if dir != "" {
		var err error
		if set, err = renderers.Load(os.DirFS(dir)); err != nil {
			return nil, templateMistakes(read.cfg, err)
		}
	}
	if err := set.Verify(scopes(read)); err != nil {
		return nil, templateMistakes(read.cfg, err)
	}
	return set, nil
}

// scopes is every way this configuration uses the templates.
func scopes(read *loaded) []renderers.Scope {
	var all []renderers.Scope
	for _, p := range read.cfg.Customers {
		for _, l := range p.Lists {
			seen := map[string]bool{}
			for _, r := range l.To {
				if seen[r.Channel] {
					continue
				}
				seen[r.Channel] = true
				spec := read.channels[r.Channel].Spec()
				all = append(all, renderers.Scope{
					Customer: p, Channel: r.Channel, Format: spec.Format, Limits: spec.Limits, Audience: l.Audience, List: l.ID,
				})
			}
		}
	}
	return all
}
