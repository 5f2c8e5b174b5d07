package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server/client"
)

// farSend is send through a server.
func (a *app) farSend(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	f, err := farFlags(cmd)
	if err != nil {
		return err
	}
	if f.resume {
		return a.farResume(ctx, r, f)
	}
	src, err := a.readUpdate(args[0])
	if err != nil {
		return err
	}
	sub := client.Submission{Source: src, Incident: f.incident, Key: f.key, Next: f.next, Only: f.only, Override: f.override}
	p, err := r.prepare(ctx, a.now(), sub, a.json)
	if err != nil {
		return a.refused(args[0], err)
	}
	a.printPrepared(args[0], p)
	if f.dryRun {
		return a.dryRun(p)
	}
	if err := a.confirm(args[0], p, f.yes); err != nil {
		return err
	}
	expected, err := r.expected(ctx, p)
	if err != nil {
		return err
	}
	v, err := r.Send(ctx, sub)
	if err != nil {
		return a.refused(args[0], farRefusal(err))
	}
	u := farUpdate(v.Update)
	a.printAccepted(ledger.Accepted{Duplicate: v.Duplicate, Added: v.Added, Update: u})
	return a.farDeliver(ctx, r, u, v.Events, expected, f)
}

// expected is what sending has to tell the outcome of, by channel: whoever is new, and
// what is pending of the same update from before.
func (r *remote) expected(ctx context.Context, p dispatcher.Prepared) (all []ledger.Tally, err error) {
	if p.Earlier != nil {
		if all, err = r.pending(ctx, p.Earlier.Key); err != nil {
			return nil, err
		}
		more, err := coming(ctx, r.ledger, p, *p.Earlier)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for _, g := range p.Plan.Groups() {
		if n := g.Told(); n > 0 {
			all = append(all, ledger.Tally{Channel: g.Channel, Count: n})
		}
	}
	return all, nil
}

// farFlags reads the flags of send, or what of them the command has.
func farFlags(cmd *cobra.Command) (f sendFlags, err error) {
	flags := cmd.Flags()
	for name, into := range map[string]*string{
		"incident": &f.incident, "next": &f.next, "key": &f.key, "override": &f.override, "metrics-file": &f.metricsFile,
	} {
		if flags.Lookup(name) != nil {
			*into = flags.Lookup(name).Value.String()
		}
	}
	for name, into := range map[string]*bool{"dry-run": &f.dryRun, "yes": &f.yes, "resume": &f.resume} {
		if flags.Lookup(name) != nil {
			*into = flags.Lookup(name).Value.String() == "true"
		}
	}
	if flags.Lookup("only") != nil {
		f.only, err = flags.GetStringSlice("only")
	}
	if flags.Lookup("timeout") != nil {
		f.timeout, err = flags.GetDuration("timeout")
	}
	if f.metricsFile != "" {
		err = &coded{exitUsage, errors.New("--metrics-file has no meaning with a server: it serves its metrics itself, at /metrics")}
	}
	return f, err
}

// farDeliver shows the server at work on an update until it is done or time is up, and
// reports. expected is what the events after one are going to tell the outcome of.
func (a *app) farDeliver(ctx context.Context, r *remote, u ledger.Update, after string, expected []ledger.Tally, f sendFlags) error {
	show := &watcher{progress: newProgress(a)}
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	watchErr := r.watch(bounded, show, u.Key, after, expected)
	show.progress.finish()

	read, stop := context.WithTimeout(context.WithoutCancel(ctx), farReadTimeout)
	defer stop()
	acc, err := readAccount(read, r.ledger, u, false)
	if err != nil {
		return fmt.Errorf("the update is accepted and on record, and nobody has to send it again; how far it is cannot be read now, 'sitrep report %s' shows it later: %w", shortKey(u.Key), err)
	}
	return a.farConclude(acc, show.rests(), watchErr)
}

// farReadTimeout bounds reading a report over the network after an interruption.
const farReadTimeout = time.Minute

// farConclude prints the account and turns it into the exit code.
func (a *app) farConclude(acc account, rests []string, watchErr error) error {
	if a.json {
		a.printJSON(map[string]any{"update": acc})
	} else {
		s := a.style(a.out)
		fmt.Fprintln(a.out)
		acc.print(a.out, s, a.now())
		if acc.Pending > 0 {
			a.printRests(rests)
			fmt.Fprintf(a.out, "\n%s %s still pending. The server goes on with it; 'sitrep report %s' shows how far it is.\n",
				s.yellow(stopped(watchErr)), count(acc.Pending, "delivery"), shortKey(acc.Update))
		}
	}
	if watchErr != nil && !errors.Is(watchErr, context.DeadlineExceeded) && !errors.Is(watchErr, context.Canceled) {
		return watchErr
	}
	if code := acc.code(); code != exitOK {
		return exitCode(code)
	}
	return nil
}

// farPreview is preview through a server.
func (a *app) farPreview(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	f, err := farFlags(cmd)
	if err != nil {
		return err
	}
	html := cmd.Flags().Lookup("html").Value.String()
	src, err := a.readUpdate(args[0])
	if err != nil {
		return err
	}
	p, err := r.prepare(ctx, a.now(), client.Submission{Source: src, Incident: f.incident, Next: f.next, Only: f.only}, a.json)
	refusal, leaked := errors.AsType[*dispatcher.Refusal](err)
	if err != nil && !leaked {
		return a.refused(args[0], err)
	}
	if err := a.showPreview(args[0], p, html, r.scenes(p)); err != nil {
		return err
	}
	if leaked {
		if !a.json {
			a.printRefusal(args[0], refusal)
		}
		return exitCode(exitRefused)
	}
	return nil
}

// farWho is who through a server.
func (a *app) farWho(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	p, err := r.named(ctx, args[0])
	if err != nil {
		return err
	}
	flag := func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
	u, err := a.supposed(ctx, r.ledger, p, flag("severity"), flag("status"), flag("age"))
	if err != nil {
		return err
	}
	told, leftOut, _ := dispatcher.Who(p, u, nil) // without words there are no problems
	gone, err := r.suppressed(ctx)
	if err != nil {
		return err
	}
	if a.json {
		a.printWhoJSON(p, u, told, leftOut, gone)
		return nil
	}
	a.printWho(p, u, told, leftOut, gone)
	return nil
}

// named is a customer by any of their names, with their lists.
func (r *remote) named(ctx context.Context, name string) (incident.Party, error) {
	all, err := r.parties(ctx)
	if err != nil {
		return incident.Party{}, err
	}
	p, err := party(&config.Config{Customers: all}, name)
	if err != nil && r.cfg.Remote.TokenFile != "" { // the server shows those that the token is for
		return p, &coded{exitUsage, fmt.Errorf("there is no customer %q, or the token is not for it. It is for: %s. Name one of them, or use a token for it", oneLine(name), ids(all))}
	}
	if err != nil {
		return p, err
	}
	return r.party(ctx, p.ID)
}

// ids are those of customers, in words.
func ids(of []incident.Party) string {
	var all []string
	for _, p := range of {
		all = append(all, p.ID)
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// farNew is new through a server.
func (a *app) farNew(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	p, err := r.named(ctx, args[0])
	if err != nil {
		return err
	}
	return a.new(ctx, r.ledger, p, cmd.Flags().Lookup("incident").Value.String(), cmd.Flags().Lookup("severity").Value.String())
}

// farReport is report through a server.
func (a *app) farReport(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return a.reportIncidents(ctx, r.ledger)
	}
	return a.report(ctx, r.ledger, r.party, args[0], cmd.Flags().Lookup("all").Value.String() == "true")
}
