package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/ledger"
)

// Completion in the shell offers what the configuration and the ledger know. It only
// reads, makes no ledger, takes a second at most, and where something is wrong offers
// nothing: the command itself will say what.

// completionTime is how long somebody who pressed a key is kept waiting.
const completionTime = time.Second

// mostOffered are the latest incidents or updates.
const mostOffered = 50

// known is what completion may offer from.
type known struct {
	cfg    *config.Config
	ledger ledger.Reader // nil: there is none
}

// offer is what completes a word; each may have a description after a tab.
type offer func(ctx context.Context, k known) []cobra.Completion

// completes has a command's only argument completed.
func (a *app) completes(cmd *cobra.Command, f offer) {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, list []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(list) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.offered(cmd, f, word, "")
	}
}

// completesFlag has the value of a flag completed. Of a list it completes the last.
func (a *app) completesFlag(cmd *cobra.Command, flag string, f offer) {
	list := strings.HasSuffix(cmd.Flags().Lookup(flag).Value.Type(), "Slice")
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := ""
		if i := strings.LastIndex(word, ","); list && i >= 0 {
			before, word = word[:i+1], word[i+1:]
		}
		return a.offered(cmd, f, word, before)
	})
	if err != nil {
		panic(err) // the flag is the command's own, a line above
	}
}

// completeAll says what completes the words of every command. Files complete as the
// shell does.
func (a *app) completeAll(root *cobra.Command) {
	arguments := map[string]offer{
		"new": offerCustomers, "who": offerCustomers, "report": offerIncidentsAndUpdates, "retry": offerUpdates, "cancel": offerUpdates,
		"suppress add": offerAddresses, "suppress remove": offerSuppressed, "token revoke": offerTokens,
	}
	flags := map[string]offer{
		"incident": offerIncidents, "only": offerOnly, "channel": offerChannels, "customer": offerCustomers,
		"severity": offerSeverities(), "status": offerStatuses(), "role": offerWords("viewer", "author", "admin"),
	}
	for _, cmd := range commands(root) {
		if f, ok := arguments[strings.TrimPrefix(cmd.CommandPath(), "sitrep ")]; ok {
			a.completes(cmd, f)
		}
		for name, f := range flags {
			if cmd.LocalNonPersistentFlags().Lookup(name) != nil {
				a.completesFlag(cmd, name, f)
			}
		}
	}
}

// commands are all commands below one.
func commands(of *cobra.Command) (all []*cobra.Command) {
	for _, cmd := range of.Commands() {
		all = append(append(all, cmd), commands(cmd)...)
	}
	return all
}

func (a *app) offered(cmd *cobra.Command, f offer, word, before string) ([]cobra.Completion, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	k, done := a.known(ctx)
	defer done()
	var all []cobra.Completion
	for _, c := range f(ctx, k) {
		if strings.HasPrefix(c, word) {
			all = append(all, before+oneLineButTabs(c))
		}
	}
	return all, cobra.ShellCompDirectiveNoFileComp
}

// oneLineButTabs is a completion with nothing in it that a terminal would obey.
func oneLineButTabs(c string) string {
	word, about, _ := strings.Cut(c, "\t")
	return cobra.CompletionWithDesc(oneLine(word), oneLine(about))
}

// known opens what there is to offer from.
func (a *app) known(ctx context.Context) (k known, done func()) {
	done = func() {}
	k.cfg = &config.Config{}
	if path, err := config.Find(a.config, a.env); err == nil {
		if cfg, _ := config.Load(path, a.env); cfg != nil {
			k.cfg = cfg // as much of it as is right
		}
	}
	if r, err := a.remote(); r != nil && err == nil {
		k.ledger = r.ledger
		return k, done
	}
	if l, err := openReadOnly(ctx, k.cfg.LedgerAddress); err == nil {
		k.ledger, done = l, func() { _ = l.Close() }
	}
	return k, done
}

func offerCustomers(_ context.Context, k known) (all []cobra.Completion) {
	for _, p := range k.cfg.Customers {
		all = append(all, cobra.CompletionWithDesc(p.ID, p.Name))
	}
	return all
}

func offerChannels(_ context.Context, k known) (all []cobra.Completion) {
	for _, ch := range k.cfg.Channels {
		all = append(all, cobra.CompletionWithDesc(ch.ID, ch.Kind))
	}
	return all
}

// offerOnly is whom --only can name.
func offerOnly(ctx context.Context, k known) (all []cobra.Completion) {
	for _, audience := range incident.Audiences() {
		all = append(all, cobra.CompletionWithDesc(string(audience), "audience"))
	}
	for _, p := range k.cfg.Customers {
		for _, l := range p.Lists {
			all = append(all, cobra.CompletionWithDesc(l.ID, "list of "+p.ID))
		}
	}
	slices.Sort(all[len(incident.Audiences()):])
	return append(all, offerChannels(ctx, k)...)
}

func offerIncidents(ctx context.Context, k known) (all []cobra.Completion) {
	if k.ledger == nil {
		return nil
	}
	found, err := k.ledger.Incidents(ctx, ledger.IncidentQuery{Limit: mostOffered})
	if err != nil {
		return nil
	}
	for _, i := range found {
		all = append(all, cobra.CompletionWithDesc(i.ID, i.Customer+", "+i.Status))
	}
	return all
}

func offerUpdates(ctx context.Context, k known) (all []cobra.Completion) {
	if k.ledger == nil {
		return nil
	}
	found, err := k.ledger.Updates(ctx, ledger.UpdateQuery{Limit: mostOffered})
	if err != nil {
		return nil
	}
	for _, u := range found {
		all = append(all, cobra.CompletionWithDesc(u.Key, u.Title))
	}
	return all
}

func offerIncidentsAndUpdates(ctx context.Context, k known) []cobra.Completion {
	return append(offerIncidents(ctx, k), offerUpdates(ctx, k)...)
}

func offerSuppressed(ctx context.Context, k known) (all []cobra.Completion) {
	l, ok := k.ledger.(ledger.Suppressor)
	if !ok {
		return nil
	}
	found, err := l.Suppressions(ctx, "")
	if err != nil {
		return nil
	}
	for _, x := range found {
		all = append(all, cobra.CompletionWithDesc(x.Address, x.Channel))
	}
	return all
}

func offerAddresses(_ context.Context, k known) (all []cobra.Completion) {
	for _, p := range k.cfg.Customers {
		for _, l := range p.Lists {
			for _, r := range l.To {
				if c := cobra.CompletionWithDesc(r.Address, r.Channel); !slices.Contains(all, c) && len(all) < mostOffered*4 {
					all = append(all, c)
				}
			}
		}
	}
	return all
}

func offerTokens(ctx context.Context, k known) (all []cobra.Completion) {
	l, ok := k.ledger.(ledger.Tokens)
	if !ok {
		return nil
	}
	found, err := l.Tokens(ctx)
	if err != nil {
		return nil
	}
	for _, t := range found {
		if t.Revoked.IsZero() {
			all = append(all, cobra.CompletionWithDesc(t.ID, t.Name))
		}
	}
	return all
}

// offerWords offers the same always.
func offerWords(words ...string) offer {
	return func(context.Context, known) []cobra.Completion { return words }
}

func offerStatuses() offer {
	var words []string
	for _, s := range incident.Statuses() {
		words = append(words, string(s))
	}
	return offerWords(words...)
}

func offerSeverities() offer { return offerWords("SEV1", "SEV2", "SEV3", "SEV4", "SEV5") }
