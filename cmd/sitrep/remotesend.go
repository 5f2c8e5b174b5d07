package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
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
	p, err := r.prepare(ctx, a.now(), sub)
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
	v, err := r.Send(ctx, sub)
	if err != nil {
		return a.refused(args[0], farRefusal(err))
	}
	u := farUpdate(v.Update)
	a.printAccepted(ledger.Accepted{Duplicate: v.Duplicate, Added: v.Added, Update: u})
	return a.farDeliver(ctx, r, u, v.Events, f)
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

// prepare asks the server what would be sent, and returns it as the dispatcher would.
func (r *remote) prepare(ctx context.Context, now time.Time, sub client.Submission) (dispatcher.Prepared, error) {
	if _, problems := incident.Parse(sub.Source); len(bytes.TrimSpace(sub.Source)) == 0 {
		return dispatcher.Prepared{}, problems // to the API that is no update at all
	}
	v, err := r.Preview(ctx, sub)
	if err != nil {
		return dispatcher.Prepared{}, farRefusal(err)
	}
	p := dispatcher.Prepared{Source: sub.Source, Warnings: problemsOf(v.Warnings), Findings: findingsOf(v.Findings), New: v.New}
	if p.Update, err = r.resolve(ctx, now, sub, v); err != nil {
		return p, err
	}
	if v.Earlier != "" {
		if err := r.again(ctx, &p, v.Earlier); err != nil {
			return p, err
		}
	}
	for _, x := range v.Renderings {
		p.Plan.Renderings = append(p.Plan.Renderings, dispatcher.Rendering{
			Channel: x.Channel, Format: farMessage(x).Format, Audience: incident.Audience(x.Audience), Locale: x.Locale, Zone: x.Zone, Message: farMessage(x),
		})
	}
	for _, l := range v.Left {
		p.Plan.Left = append(p.Plan.Left, dispatcher.Left(l))
	}
	if p.Plan.Deliveries, err = r.deliveries(ctx, p.Update, sub.Only, v); err != nil {
		return p, err
	}
	if v.Refused {
		return p, &dispatcher.Refusal{Findings: p.Findings}
	}
	return p, nil
}

// resolve reads the update as the server has read it, for showing it.
func (r *remote) resolve(ctx context.Context, now time.Time, sub client.Submission, v server.PreviewView) (u incident.Update, err error) {
	k := incident.Known{Now: now, Incident: sub.Incident, Next: sub.Next, Find: func(id string) (incident.Incident, bool) {
		rows, err := r.ledger.Incidents(ctx, ledger.IncidentQuery{ID: id})
		if err != nil || len(rows) == 0 {
			return incident.Incident{}, false
		}
		return dispatcher.IncidentOf(rows[0]), true
	}}
	if k.Parties, err = r.parties(ctx); err != nil {
		return u, err
	}
	open, err := r.ledger.Incidents(ctx, ledger.IncidentQuery{Customer: v.Customer, Open: true})
	if err != nil {
		return u, err
	}
	for _, i := range open {
		k.Open = append(k.Open, dispatcher.IncidentOf(i))
	}
	draft, _ := incident.Parse(sub.Source)
	u, _, _ = draft.Resolve(k) // the server has found no problem, and has said the warnings
	u.Incident, u.Seq, u.Key, u.Customer, u.Status = v.Incident, v.Seq, v.Key, v.Customer, incident.Status(v.Status)
	return u, nil
}

// again is for an update that was accepted before: it is as it was then.
func (r *remote) again(ctx context.Context, p *dispatcher.Prepared, key string) error {
	rows, err := r.ledger.Updates(ctx, ledger.UpdateQuery{Key: key})
	if err != nil || len(rows) == 0 {
		return err
	}
	p.Earlier = &rows[0]
	p.Update.At, p.Update.Next = rows[0].At, rows[0].Next
	of, err := r.ledger.Incidents(ctx, ledger.IncidentQuery{ID: rows[0].Incident})
	if err == nil && len(of) > 0 {
		i := dispatcher.IncidentOf(of[0])
		p.Update.Started, p.Update.Severity = i.Started, i.Severity
	}
	return err
}

// deliveries are the plan's. The server names a bounded number of recipients; who all
// the others are follows from the lists.
func (r *remote) deliveries(ctx context.Context, u incident.Update, only []string, v server.PreviewView) ([]dispatcher.Delivery, error) {
	var all []dispatcher.Delivery
	for _, x := range v.Recipients {
		d := dispatcher.Delivery{Suppressed: x.Suppressed, Already: x.Already}
		d.To = incident.Recipient{Channel: x.Channel, Address: x.Address, Name: x.Name}
		d.Audience = incident.Audience(x.Audience)
		for _, list := range x.Lists {
			d.Reach = append(d.Reach, dispatcher.Reach{List: list})
		}
		if x.Rendering != nil {
			d.Rendering = *x.Rendering
		}
		all = append(all, d)
	}
	if len(all) == v.Total {
		return all, nil
	}
	party, err := r.party(ctx, u.Customer)
	if err != nil {
		return nil, err
	}
	told, _, _ := dispatcher.Who(party, u, only) // the server has found no problem
	for _, t := range told[min(len(all), len(told)):] {
		all = append(all, dispatcher.Delivery{Target: t})
	}
	return all, nil
}

// farDeliver shows the server at work on an update until it is done or time is up, and
// reports.
func (a *app) farDeliver(ctx context.Context, r *remote, u ledger.Update, after string, f sendFlags) error {
	show := &watcher{progress: newProgress(a)}
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	watchErr := r.watch(bounded, show, u.Key, after)
	show.progress.finish()

	read, stop := context.WithTimeout(context.WithoutCancel(ctx), farReadTimeout)
	defer stop()
	acc, err := readAccount(read, r.ledger, u, false)
	if err != nil {
		return err
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
	p, err := r.prepare(ctx, a.now(), client.Submission{Source: src, Incident: f.incident, Next: f.next, Only: f.only})
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
	gone, err := r.suppressed(ctx, p.ID)
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
	if err != nil {
		return p, err
	}
	return r.party(ctx, p.ID)
}

// farNew is new through a server.
func (a *app) farNew(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	p, err := r.named(ctx, args[0])
	if err != nil {
		return err
	}
	at := a.now().In(cmp.Or(p.Zone, time.UTC)).Truncate(time.Minute)
	c := incident.Composition{Party: p, At: at, Started: at, Status: incident.Investigating, Next: at.Add(time.Hour)}
	if severity := cmd.Flags().Lookup("severity").Value.String(); severity != "" {
		if c.Severity, err = incident.ParseSeverity(severity); err != nil {
			return &coded{exitUsage, fmt.Errorf("--severity: %w", err)}
		}
	}
	earlier, err := a.follow(ctx, r.ledger, p, cmd.Flags().Lookup("incident").Value.String())
	if err != nil {
		return err
	}
	if earlier != nil {
		continued(&c, *earlier)
	}
	text := incident.Compose(c)
	if a.json {
		a.printJSON(map[string]string{"template": text})
		return nil
	}
	fmt.Fprint(a.out, text)
	return nil
}

// farReport is report through a server.
func (a *app) farReport(ctx context.Context, r *remote, cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return a.reportIncidents(ctx, r.ledger)
	}
	return a.report(ctx, r.ledger, args[0], cmd.Flags().Lookup("all").Value.String() == "true")
}
