package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

const newLong = `Prints the team's template for CUSTOMER, filled in with what is known: the time in
the customer's zone, how long the incident has lasted, the last status and a next
update as far ahead as the last promise was. Complete the text in <angle brackets>;
send refuses an update that still has them.`

func (a *app) newCommand() *cobra.Command {
	var id, severity string
	cmd := &cobra.Command{
		Use:   "new CUSTOMER",
		Short: "The template, prefilled",
		Long:  newLong,
		Example: `  sitrep new abc > update.md
  sitrep new "Enterprise ABC" --incident enterprise-abc-20261122-1`,
		Args: args(1, "the customer"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.withCustomer(cmd.Context(), list[0], func(ctx context.Context, l ledger.Ledger, p incident.Party) error {
				return a.new(ctx, l, p, id, severity)
			})
		},
	}
	cmd.Flags().StringVar(&id, "incident", "", "the incident's `ID`; default: the customer's only open one, else a new one")
	cmd.Flags().StringVar(&severity, "severity", "", "severity of a new incident, `SEV1` to SEV5")
	return cmd
}

func (a *app) new(ctx context.Context, l ledger.Reader, p incident.Party, id, severity string) error {
	at := a.now().In(cmp.Or(p.Zone, time.UTC)).Truncate(time.Minute) // through a server it may be unknown
	c := incident.Composition{Party: p, At: at, Started: at, Status: incident.Investigating, Next: at.Add(time.Hour)}
	if severity != "" {
		given, err := incident.ParseSeverity(severity)
		if err != nil {
			return &coded{exitUsage, fmt.Errorf("--severity: %w", err)}
		}
		c.Severity = given
	}
	earlier, err := a.follow(ctx, l, p, id)
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

// follow is the incident that the new update continues, or nil for a new one.
func (a *app) follow(ctx context.Context, l ledger.Reader, p incident.Party, id string) (*incident.Incident, error) {
	q := ledger.IncidentQuery{ID: id}
	if id == "" {
		q = ledger.IncidentQuery{Customer: p.ID, Open: true}
	}
	rows, err := l.Incidents(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	switch {
	case len(rows) == 0 && id != "":
		return nil, &coded{exitUsage, fmt.Errorf("the ledger has no incident %q. 'sitrep report' lists them", oneLine(id))}
	case len(rows) == 0:
		return nil, nil //nolint:nilnil // a new incident, and that is no error
	case len(rows) > 1:
		return nil, &coded{exitUsage, fmt.Errorf("%s has two open incidents or more (%s, %s): choose one with --incident", p.ID, oneLine(rows[0].ID), oneLine(rows[1].ID))}
	case rows[0].Customer != p.ID:
		return nil, &coded{exitUsage, fmt.Errorf("incident %q is another customer's", oneLine(id))}
	}
	i := dispatcher.IncidentOf(rows[0])
	return &i, nil
}

// continued fills in what an earlier update said: the promise is as far ahead as
// the last one was, counted from now.
func continued(c *incident.Composition, i incident.Incident) {
	c.Incident, c.Severity, c.Started, c.Status = i.ID, i.Severity, i.Started, i.Status
	if ahead := i.Next.Sub(i.Updated); !i.Next.IsZero() && ahead > 0 {
		c.Next = c.At.Add(ahead).Round(5 * time.Minute)
	}
	if i.Next.After(c.At) {
		c.Next = i.Next.In(c.At.Location())
	}
}
