package dispatcher

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// A reminder that has not got through for so long has no worth any more.
const pendingAtMost = 15 * time.Minute

// accept records a reminder and its deliveries in one durable transaction and wakes
// the lanes. Where there is nobody to remind it records nothing.
func (r *Reminder) accept(ctx context.Context, row ledger.Update, s step, key string, now time.Time) error {
	u, err := Content(row)
	if err != nil {
		return err
	}
	party, ok := r.d.party(u.Customer)
	if !ok {
		return nil // not in the configuration any more: nobody is left to remind
	}
	suppressed, err := r.d.suppressed(ctx)
	if err != nil {
		return err
	}
	p := reminding{
		update: u, step: s, key: key, now: now, lanes: r.d.o.Lanes, suppressed: suppressed,
		targets: reminded(party, u, s, r.o.rule(party.ID).Escalate.List), zone: party.Zone, at: map[request]int{},
	}
	p.plan()
	for _, l := range p.Left {
		r.d.o.Log.Warn("a reminder is not sent to everybody", "incident", u.Incident, "list", l.List, "why", l.Why)
	}
	if len(p.Deliveries) == 0 {
		r.d.o.Log.Warn("nobody is reminded of a promised update: the customer has no internal list that joins",
			"incident", u.Incident, "customer", u.Customer, "due", u.Next)
		return nil
	}
	return r.record(ctx, p)
}

func (r *Reminder) record(ctx context.Context, p reminding) error {
	u := p.record()
	content, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("write down the reminder: %w", err)
	}
	row := ledger.Update{
		Key: u.Key, Incident: u.Incident, Customer: u.Customer, Seq: u.Seq, Status: string(u.Status),
		Title: ledger.CleanText(titleOf(p.update) + ", reminder of the next update"), At: u.At, Accepted: p.now,
		Source: u.Summary, Content: content,
	}
	got, err := r.d.o.Ledger.Accept(ctx, p.acceptance(incidentRow(u), row))
	if err != nil {
		return err
	}
	if !got.Duplicate {
		r.d.announceAccepted(Prepared{Update: u, Plan: p.Plan}, got)
		r.d.wake()
	}
	return nil
}

// reminded are the recipients of a reminder: whoever got the update that made the
// promise and belongs to us; of an escalation, the list that it names, whether or not
// that one joins the incident by its own conditions. Nobody who is on a list for
// others is told, whatever else they are on.
func reminded(p incident.Party, u incident.Update, s step, list string) []Target {
	var told []Target
	if s.escalate {
		told = ofList(p, list)
	} else {
		told, _, _ = Who(p, u, nil) // without words to choose by, nothing can be wrong with them
	}
	outside := map[place]bool{}
	for _, l := range p.Lists {
		for _, to := range l.To {
			if l.Audience != incident.Internal {
				outside[placeOf(to.Channel, to.Address)] = true
			}
		}
	}
	return slices.DeleteFunc(told, func(t Target) bool {
		return t.Audience != incident.Internal || outside[placeOf(t.To.Channel, t.To.Address)]
	})
}

func ofList(p incident.Party, id string) []Target {
	l, ok := listOf(p, id)
	if !ok {
		return nil
	}
	l.Severities, l.Statuses, l.After = nil, nil, 0
	told, _, _ := Who(incident.Party{ID: p.ID, Lists: []incident.List{l}}, incident.Update{}, nil) // as in reminded
	return told
}

// reminding is a reminder on its way into the ledger.
type reminding struct {
	update     incident.Update // that made the promise
	step       step
	key        string
	now        time.Time
	lanes      []Lane
	suppressed map[place]string
	targets    []Target
	zone       *time.Location
	at         map[request]int // index of the rendering, -1: there is none
	Plan
}

func (p *reminding) plan() {
	for _, t := range p.targets {
		lane := slices.IndexFunc(p.lanes, func(l Lane) bool { return l.ID == t.To.Channel })
		if lane < 0 {
			continue // New refuses such a configuration
		}
		if t.To.Zone == nil {
			t.To.Zone = p.zone
		}
		i := p.rendering(t, p.lanes[lane])
		if i < 0 {
			continue
		}
		p.Deliveries = append(p.Deliveries, Delivery{
			Target: t, Rendering: i, Key: DeliveryKey(p.key, t.To.Channel, t.To.Address),
			Expire: p.expire(p.lanes[lane]), Suppressed: p.suppressed[placeOf(t.To.Channel, t.To.Address)],
		})
	}
}

// expire ends a reminder when the next one takes its place, and soon in any case.
func (p *reminding) expire(l Lane) time.Time {
	most := max(p.step.until.Sub(p.now), time.Minute)
	return p.now.Add(min(most, pendingAtMost, l.Expire))
}

func (p *reminding) rendering(t Target, lane Lane) int {
	want := request{lane.ID, incident.Internal, t.To.Locale, zoneName(t.To.Zone)}
	if i, ok := p.at[want]; ok {
		return i
	}
	p.at[want] = -1
	spec := lane.Channel.Spec()
	if spec.Format == channels.FormatPage {
		return -1 // a page shows the promise itself, and that it is late
	}
	m, err := renderers.Remind(renderers.Reminder{
		Update: p.update, Now: p.now, Escalated: p.step.escalate,
		Format: spec.Format, Limits: spec.Limits, Channel: lane.ID, Locale: t.To.Locale, Zone: t.To.Zone,
	})
	if err != nil {
		p.Left = append(p.Left, Left{List: t.Reach[0].List, Count: 1, Why: err.Error()})
		return -1
	}
	p.at[want] = len(p.Renderings)
	p.Renderings = append(p.Renderings, Rendering{
		Channel: lane.ID, Format: spec.Format, Audience: incident.Internal, Locale: want.locale, Zone: want.zone, Message: m,
	})
	return p.at[want]
}

// record is the reminder as an update: the only one of an incident of its own, see
// ReminderOf.
func (p *reminding) record() incident.Update {
	u := p.update
	return incident.Update{
		Key: p.key, Incident: p.step.id(u.Incident, u.Seq), Customer: u.Customer, CustomerName: u.CustomerName,
		Severity: u.Severity, Seq: 1, At: p.now, Started: u.Started, Zone: u.Zone, Status: incident.Resolved,
		Summary: fmt.Sprintf("Reminder: the next update of %s was promised for %s.", u.Incident, u.Next.UTC().Format("2006-01-02 15:04 UTC")),
	}
}
