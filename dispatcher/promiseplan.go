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
	roster, ok := r.d.rosters[u.Customer]
	if !ok {
		return nil // not in the configuration any more: nobody is left to remind
	}
	suppressed, err := r.d.suppressed(ctx)
	if err != nil {
		return err
	}
	p := reminding{update: u, step: s, key: key, now: now, roster: roster, lanes: r.d.o.Lanes}
	p.plan(r.o.rule(u.Customer).Escalate.List, suppressed)
	for _, l := range p.Left {
		r.d.o.Log.Warn("a reminder is not sent to everybody", "incident", u.Incident, "list", l.List, "why", l.Why)
	}
	if p.Count() == 0 {
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
	began := r.d.o.Now()
	got, err := r.d.record(ctx, u, row, p.Plan, false)
	r.d.traceAccept(u, span{p.now, began}, p.Count(), began, got, err)
	return err
}

// reminding is a reminder on its way into the ledger.
type reminding struct {
	update incident.Update // that made the promise
	step   step
	key    string
	now    time.Time
	roster *roster
	lanes  []Lane
	Plan
}

// chosen are the recipients of a reminder: whoever got the update that made the
// promise and belongs to us; of an escalation, the list that it names, whether or not
// that one joins the incident by its own conditions. Nobody who is on a list for
// others is told, whatever else they are on.
func (p *reminding) chosen(escalation string) choice {
	c := choice{Inside: true}
	for _, l := range p.roster.party.Lists {
		told, _ := l.Joins(p.update)
		if p.step.escalate {
			told = l.ID == escalation
		}
		c.Lists = append(c.Lists, listed{ID: l.ID, Audience: l.Audience, Told: told})
	}
	return c
}

func (p *reminding) plan(escalation string, suppressed map[place]string) {
	c := p.chosen(escalation)
	s := newSelection(c, p.key, p.roster.party.Zone, nil, p.now)
	for _, l := range p.lanes {
		s.Expire[l.ID] = p.expire(l)
	}
	for i, v := range p.roster.serve(&c) {
		if v.told {
			p.add(s, p.roster.classes[i], v, p.roster.count[i])
		}
	}
	p.draft = &draft{roster: p.roster, selection: s, suppressed: suppressed, new: p.Count()}
}

// expire ends a reminder when the next one takes its place, and soon in any case.
func (p *reminding) expire(l Lane) time.Time {
	most := max(p.step.until.Sub(p.now), time.Minute)
	return p.now.Add(min(most, pendingAtMost, l.Expire))
}

// add sees to the rendering for a class, if there can be one.
func (p *reminding) add(s *selection, of class, v serving, places int) {
	want := s.request(of, v)
	i := slices.Index(s.Renderings, want)
	if i < 0 && !slices.Contains(s.None, want) {
		r, err := p.make(want)
		switch {
		case err != nil:
			p.Left = append(p.Left, Left{List: s.reach(of, v)[0].List, Count: places, Why: err.Error()})
			s.None = append(s.None, want)
		case r == nil:
			s.None = append(s.None, want)
		default:
			i = len(p.Renderings)
			p.drawn(s, want, *r)
		}
	}
	if i >= 0 {
		p.told[i] += places
	}
}

// make makes a rendering. It is nil where there is none: on a page, which shows the
// promise itself and that it is late, and on a channel that is not configured, with
// which New refuses to begin.
func (p *reminding) make(want request) (*Rendering, error) {
	n := slices.IndexFunc(p.lanes, func(l Lane) bool { return l.ID == want.Channel })
	if n < 0 {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	spec := p.lanes[n].Channel.Spec()
	if spec.Format == channels.FormatPage {
		return nil, nil //nolint:nilnil // as above
	}
	m, err := renderers.Remind(renderers.Reminder{
		Update: p.update, Now: p.now, Escalated: p.step.escalate,
		Format: spec.Format, Limits: spec.Limits, Channel: want.Channel, Locale: want.Locale, Zone: p.roster.zones[want.Zone],
	})
	return &Rendering{Format: spec.Format, Message: m}, err
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
