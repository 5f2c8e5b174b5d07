package dispatcher

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sitrep/incident"
	"sitrep/ledger"
)

// known gathers what resolving an update takes.
func (d *Dispatcher) known(ctx context.Context, s Submission) (incident.Known, error) {
	open, err := d.o.Ledger.Incidents(ctx, ledger.IncidentQuery{Open: true})
	if err != nil {
		return incident.Known{}, fmt.Errorf("look up the open incidents: %w", err)
	}
	k := incident.Known{
		Now: d.o.Now(), Parties: d.o.Parties,
		Incident: strings.TrimSpace(s.Incident), Next: s.Next,
		RequireNext: d.o.RequireNext, NewID: d.o.NewID,
		Find: func(id string) (incident.Incident, bool) { return d.find(ctx, id) },
	}
	for _, row := range open {
		k.Open = append(k.Open, IncidentOf(row))
	}
	return k, nil
}

// find looks up any incident. A ledger that cannot answer is as good as one that
// does not know: accepting the update would fail for the same reason.
func (d *Dispatcher) find(ctx context.Context, id string) (incident.Incident, bool) {
	rows, err := d.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: id})
	if err != nil || len(rows) == 0 {
		return incident.Incident{}, false
	}
	return IncidentOf(rows[0]), true
}

// earlier is the update that was accepted under key, or nil.
func (d *Dispatcher) earlier(ctx context.Context, key string) (*ledger.Update, error) {
	if key == "" {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	rows, err := d.o.Ledger.Updates(ctx, ledger.UpdateQuery{Key: key})
	if err != nil {
		return nil, fmt.Errorf("look up whether the update was sent before: %w", err)
	}
	for i := range rows {
		if rows[i].Key == key { // the ledger also finds keys that begin so
			return &rows[i], nil
		}
	}
	return nil, nil //nolint:nilnil // as above
}

func (d *Dispatcher) suppressed(ctx context.Context) (map[place]string, error) {
	rows, err := d.o.Ledger.Suppressions(ctx, "")
	if err != nil {
		return nil, fmt.Errorf("look up the suppressed addresses: %w", err)
	}
	all := make(map[place]string, len(rows))
	for _, s := range rows {
		all[placeOf(s.Channel, s.Address)] = fmt.Sprintf("not written to since %s: %s", s.At.UTC().Format("2006-01-02"), s.Reason)
	}
	return all, nil
}

func (d *Dispatcher) party(id string) (incident.Party, bool) {
	i := slices.IndexFunc(d.o.Parties, func(p incident.Party) bool { return p.ID == id })
	if i < 0 {
		return incident.Party{}, false
	}
	return d.o.Parties[i], true
}

// IncidentOf is the ledger's row as the domain knows incidents.
func IncidentOf(row ledger.Incident) incident.Incident {
	severity, err := incident.ParseSeverity(row.Severity)
	if err != nil {
		severity = 0 // none was given
	}
	return incident.Incident{
		ID: row.ID, Customer: row.Customer, Severity: severity, Started: row.Started,
		Status: incident.Status(row.Status), Seq: row.Seq, Updated: row.Updated, Next: row.Next,
	}
}

// incidentRow is the incident as it is after u.
func incidentRow(u incident.Update) ledger.Incident {
	return ledger.Incident{
		ID: u.Incident, Customer: u.Customer, Severity: u.Severity.String(), Started: u.Started,
		Status: string(u.Status), Seq: u.Seq, Updated: u.At, Next: u.Next,
	}
}
