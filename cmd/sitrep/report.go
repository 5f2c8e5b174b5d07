package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
)

const reportLong = `Prints what the ledger knows of an incident or of one update: per channel what was
delivered, failed or is still pending, and every recipient who did not get it with
the reason, and who was sent it and has not got it yet as their mail server says; and
of an incident, whether each next update came when it was promised. Of many with the
same reason it lists three; --all lists everybody.

Without an argument it lists the incidents, latest first, and says for each customer
how many promises were kept.

INCIDENT is an incident's id; UPDATE is an update's key or the first six or more
characters of it.`

func (a *app) reportCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "report [INCIDENT|UPDATE]",
		Short: "Who got it, who did not, and why",
		Long:  reportLong,
		Example: `  sitrep report                             every incident
  sitrep report enterprise-abc-20261122-1   one incident, update by update
  sitrep report mfrggzdf --all              one update, every recipient`,
		Args: func(cmd *cobra.Command, list []string) error {
			return args(min(len(list), 1), "nothing")(cmd, list)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			return a.reading(cmd.Context(), cfg, func(ctx context.Context, l ledger.Ledger) error {
				if len(args) == 0 {
					return a.reportIncidents(ctx, l)
				}
				named := func(_ context.Context, id string) (incident.Party, error) { return party(cfg, id) }
				return a.report(ctx, l, named, args[0], all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list every recipient, also those who got it and those with the same reason")
	return cmd
}

func (a *app) reportIncidents(ctx context.Context, l ledger.Reader) error {
	incidents, err := l.Incidents(ctx, ledger.IncidentQuery{})
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	incidents = slices.DeleteFunc(incidents, func(i ledger.Incident) bool { // reminders are accounted for, and no incidents
		_, reminder := dispatcher.ReminderOf(i.ID)
		return reminder
	})
	kept, err := a.readPromises(ctx, l)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(map[string]any{"incidents": incidentList(incidents, kept), "customers": kept.customers()})
		return nil
	}
	if len(incidents) == 0 {
		fmt.Fprintln(a.out, "The ledger holds no incident yet. Send the first update with: sitrep send update.md")
		return nil
	}
	s := a.style(a.out)
	for _, i := range incidents {
		fmt.Fprintf(a.out, "%s  %-16s %-5s %s  update %d at %s%s%s\n", s.bold(oneLine(i.ID)), oneLine(i.Customer), i.Severity,
			s.status(i.Status, fmt.Sprintf("%-13s", i.Status)), i.Seq, utc(i.Updated), promised(i), kept.ofIncident(i.ID))
	}
	kept.print(a.out, s)
	return nil
}

// incidentJSON is an incident for programs.
type incidentJSON struct {
	ID       string    `json:"id"`
	Customer string    `json:"customer"`
	Severity string    `json:"severity,omitempty"`
	Status   string    `json:"status"`
	Started  time.Time `json:"started"`
	Updates  int       `json:"updates"`
	Updated  time.Time `json:"updated"`
	Next     time.Time `json:"next_update,omitzero"`

	Kept *server.KeptView `json:"kept,omitempty"` // nil: it never promised anything
}

func incidentList(all []ledger.Incident, p promises) []incidentJSON {
	list := make([]incidentJSON, len(all))
	for i, x := range all {
		list[i] = incidentJSON{x.ID, x.Customer, x.Severity, x.Status, x.Started, x.Seq, x.Updated, x.Next, p.view(x.ID)}
	}
	return list
}

func promised(i ledger.Incident) string {
	if i.Next.IsZero() || i.Status == "resolved" {
		return ""
	}
	return ", next promised for " + utc(i.Next)
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// report prints one update, or every update of an incident. named finds a customer with
// the lists as they are now; it may fail.
func (a *app) report(ctx context.Context, l ledger.Reader, named func(context.Context, string) (incident.Party, error), name string, all bool) error {
	updates, err := findUpdates(ctx, l, name)
	if err != nil {
		return err
	}
	accounts := make([]account, 0, len(updates))
	for _, u := range updates {
		acc, err := readAccount(ctx, l, u, all)
		if err != nil {
			return err
		}
		if p, err := named(ctx, u.Customer); err == nil && len(acc.Recipients) > 0 {
			acc.mark(requiredOf(p)) // a customer who is gone requires nothing
		}
		accounts = append(accounts, acc)
	}
	var kept promises
	if updates[0].Incident == name { // all of it, not one update
		kept = dispatcher.Promises(updates, a.now())
	}
	if a.json {
		answer := map[string]any{"updates": accounts}
		if len(kept) > 0 {
			answer["kept"], answer["promises"] = server.Kept(kept), server.ViewPromises(kept)
		}
		a.printJSON(answer)
		return nil
	}
	for i, acc := range accounts {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		a.printAccount(acc)
	}
	kept.printEach(a.out, a.style(a.out))
	return nil
}

func (a *app) printAccount(acc account) {
	s := a.style(a.out)
	fmt.Fprintf(a.out, "%s\n", s.status(acc.Status, s.bold(oneLine(acc.Title))))
	fmt.Fprintf(a.out, "  incident %s, update %d (%s), accepted %s\n", oneLine(acc.Incident), acc.Seq, shortKey(acc.Update), utc(acc.Accepted))
	if acc.Override != "" {
		fmt.Fprintf(a.out, "  %s %s\n", s.yellow("the leak guard was overridden:"), oneLine(acc.Override))
	}
	fmt.Fprintln(a.out)
	acc.print(a.out, s, a.now())
}

// findUpdates finds what a person names: an incident or an update.
func findUpdates(ctx context.Context, l ledger.Reader, name string) ([]ledger.Update, error) {
	updates, err := l.Updates(ctx, ledger.UpdateQuery{Incident: name})
	if err == nil && len(updates) == 0 {
		updates, err = l.Updates(ctx, ledger.UpdateQuery{Key: name})
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	if len(updates) == 0 {
		return nil, &coded{exitUsage, fmt.Errorf("the ledger has no incident and no update called %q (a key may be shortened to its first six characters). 'sitrep report' lists the incidents", oneLine(name))}
	}
	return updates, nil
}

func shortKey(key string) string {
	if len(key) > 10 {
		return key[:10]
	}
	return key
}
