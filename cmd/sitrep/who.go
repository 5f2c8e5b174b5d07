package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

const whoLong = `Shows who would get an update of the customer, by which list, as which audience,
and why; and which lists would not be told, and why not. Without flags it answers
for the customer's open incident as it is now, or for a SEV1 incident that begins
now.

A recipient reached by several lists is served once, as the least privileged
audience of them; the other lists are named beside it.`

func (a *app) whoCommand() *cobra.Command {
	var severity, status, age string
	cmd := &cobra.Command{
		Use:   "who CUSTOMER",
		Short: "Who would get what, by which list, and why",
		Long:  whoLong,
		Example: `  sitrep who "Enterprise ABC"
  sitrep who abc --status resolved
  sitrep who abc --severity SEV2 --age 3h`,
		Args: args(1, "the customer"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.withCustomer(cmd.Context(), list[0], func(ctx context.Context, l ledger.Ledger, p incident.Party) error {
				return a.who(ctx, l, p, severity, status, age)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&severity, "severity", "", "as if the incident had `SEVERITY` SEV1 to SEV5")
	flags.StringVar(&status, "status", "", "as if the update said `STATUS` investigating, identified, monitoring or resolved")
	flags.StringVar(&age, "age", "", "as if the incident were `LONG` old, such as 3h")
	return cmd
}

func (a *app) who(ctx context.Context, l ledger.Ledger, p incident.Party, severity, status, age string) error {
	u, err := a.supposed(ctx, l, p, severity, status, age)
	if err != nil {
		return err
	}
	told, leftOut, _ := dispatcher.Who(p, u, nil)
	gone, err := suppressions(ctx, l)
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

func party(cfg *config.Config, name string) (incident.Party, error) {
	var names []string
	for _, p := range cfg.Customers {
		if p.Answers(name) {
			return p, nil
		}
		names = append(names, p.ID)
	}
	return incident.Party{}, &coded{exitUsage, fmt.Errorf("there is no customer %q. The configuration has: %s", oneLine(name), strings.Join(names, ", "))}
}

// supposed is the update that who answers for.
func (a *app) supposed(ctx context.Context, l ledger.Reader, p incident.Party, severity, status, age string) (incident.Update, error) {
	now := a.now()
	u := incident.Update{Customer: p.ID, CustomerName: p.Name, Severity: 1, Status: incident.Investigating, At: now, Started: now, Zone: p.Zone}
	open, err := l.Incidents(ctx, ledger.IncidentQuery{Customer: p.ID, Open: true, Limit: 1})
	if err != nil {
		return u, fmt.Errorf("read the ledger: %w", err)
	}
	if len(open) == 1 {
		i := dispatcher.IncidentOf(open[0])
		u.Incident, u.Severity, u.Status, u.Started = i.ID, i.Severity, i.Status, i.Started
	}
	if severity != "" {
		if u.Severity, err = incident.ParseSeverity(severity); err != nil {
			return u, &coded{exitUsage, fmt.Errorf("--severity: %w", err)}
		}
	}
	if status != "" {
		u.Status = incident.Status(strings.ToLower(status))
		if !validStatus(u.Status) {
			return u, &coded{exitUsage, fmt.Errorf("--status: %q is no status: write investigating, identified, monitoring or resolved", status)}
		}
	}
	if age != "" {
		d, err := incident.ParseElapsed(age)
		if err != nil {
			return u, &coded{exitUsage, fmt.Errorf("--age: %w", err)}
		}
		u.Started = now.Add(-d)
	}
	return u, nil
}

func validStatus(s incident.Status) bool {
	for _, known := range incident.Statuses() {
		if s == known {
			return true
		}
	}
	return false
}

// suppressions are the addresses that are not written to, by channel and address.
func suppressions(ctx context.Context, l ledger.Suppressor) (map[[2]string]ledger.Suppression, error) {
	all, err := l.Suppressions(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	by := make(map[[2]string]ledger.Suppression, len(all))
	for _, s := range all {
		by[[2]string{s.Channel, strings.ToLower(s.Address)}] = s
	}
	return by, nil
}

func suppressedAt(t dispatcher.Target) [2]string {
	return [2]string{t.To.Channel, strings.ToLower(t.To.Address)}
}

// requiredOf are the recipients of a customer that are to be told by contract, by
// channel and address.
func requiredOf(p incident.Party) map[[2]string]bool {
	all := map[[2]string]bool{}
	for _, l := range p.Lists {
		for _, r := range l.To {
			if r.Required {
				all[[2]string{r.Channel, strings.ToLower(r.Address)}] = true
			}
		}
	}
	return all
}

func (a *app) printWho(p incident.Party, u incident.Update, told []dispatcher.Target, leftOut []dispatcher.Left, gone map[[2]string]ledger.Suppression) {
	s := a.style(a.out)
	fmt.Fprintf(a.out, "%s: an update that says %s, %s, %s into the incident, goes to %s.\n", s.bold(oneLine(p.Name)),
		u.Status.Title(), u.Severity, incident.Hours(u.Elapsed()), count(len(told), "recipient"))
	list, required := "", requiredOf(p)
	for _, t := range told {
		if t.Reach[0].List != list {
			list = t.Reach[0].List
			fmt.Fprintf(a.out, "\n%s (%s)  %s\n", s.bold(list), t.Audience, s.dim(audienceSees(t.Audience)))
		}
		line := fmt.Sprintf("  %-10s %s", t.To.Channel, addressee(t.To.Name, t.To.Address))
		if why := whyServedSo(t); why != "" {
			line += "  " + s.dim(why)
		}
		must := required[suppressedAt(t)]
		if must {
			line += "  " + s.bold("required by contract")
		}
		if x, ok := gone[suppressedAt(t)]; ok && must {
			line += "  " + s.yellow("suppressed since "+x.At.UTC().Format(time.DateOnly)+": "+oneLine(x.Reason)+" "+ignoredNote)
		} else if ok {
			line += "  " + s.red("suppressed since "+x.At.UTC().Format(time.DateOnly)+": "+oneLine(x.Reason))
		}
		fmt.Fprintln(a.out, line)
	}
	if len(leftOut) > 0 {
		fmt.Fprintf(a.out, "\n%s\n", s.bold("Not told"))
	}
	for _, l := range leftOut {
		fmt.Fprintf(a.out, "  %-16s %s: %s\n", l.List, count(l.Count, "recipient"), l.Why)
	}
}

func audienceSees(a incident.Audience) string {
	if a == incident.Internal {
		return "sees every section"
	}
	return "sees the summary (or the public summary) and the customer impact"
}

// whyServedSo explains a recipient whom more than one list, or an included one,
// reaches.
func whyServedSo(t dispatcher.Target) string {
	var also []string
	for _, r := range t.Reach[1:] {
		also = append(also, fmt.Sprintf("%s (%s)", r.List, r.Audience))
	}
	var parts []string
	if via := t.Reach[0].Via; via != "" {
		parts = append(parts, "from "+via)
	}
	if len(also) > 0 {
		parts = append(parts, fmt.Sprintf("also in %s; once, as the least privileged: %s", strings.Join(also, ", "), t.Audience))
	}
	return strings.Join(parts, "; ")
}

type whoRow struct {
	Channel    string            `json:"channel"`
	Address    string            `json:"address"`
	Name       string            `json:"name,omitempty"`
	Audience   incident.Audience `json:"audience"`
	Lists      []string          `json:"lists"`
	Via        string            `json:"via,omitempty"`
	Suppressed string            `json:"suppressed,omitempty"`
	Since      time.Time         `json:"suppressed_since,omitzero"`
	Required   bool              `json:"required,omitempty"` // by contract
	Ignored    string            `json:"ignored,omitempty"`  // a suppression of somebody who is to be told by contract
}

func (a *app) printWhoJSON(p incident.Party, u incident.Update, told []dispatcher.Target, leftOut []dispatcher.Left, gone map[[2]string]ledger.Suppression) {
	rows, required := make([]whoRow, len(told)), requiredOf(p)
	for i, t := range told {
		rows[i] = whoRow{Channel: t.To.Channel, Address: t.To.Address, Name: t.To.Name, Audience: t.Audience, Via: t.Reach[0].Via}
		for _, r := range t.Reach {
			rows[i].Lists = append(rows[i].Lists, r.List)
		}
		x := gone[suppressedAt(t)]
		rows[i].Suppressed, rows[i].Since, rows[i].Required = x.Reason, x.At, required[suppressedAt(t)]
		if rows[i].Required {
			rows[i].Suppressed, rows[i].Ignored = "", x.Reason
		}
	}
	lefts := make([]left, len(leftOut))
	for i, l := range leftOut {
		lefts[i] = left(l)
	}
	a.printJSON(map[string]any{
		"customer": p.ID, "incident": u.Incident, "severity": u.Severity.String(), "status": u.Status,
		"recipients": rows, "not_told": lefts,
	})
}
