package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
)

// Publish records the update and who is to get it in one durable transaction, and
// wakes the lanes. When it returns without an error, every delivery will reach an
// outcome whatever happens. p must come from Prepare without an error.
//
// Of an update for more than five hundred recipients the first deliveries are written
// at once, and the others by whoever is at Run or Work: see ledger.Expander. The
// answer's Added counts them too, and its Update.Unwritten says how many those are.
//
// If another update of the incident was accepted since, p is prepared anew; then
// the errors of Prepare are possible.
func (d *Dispatcher) Publish(ctx context.Context, p Prepared) (ledger.Accepted, error) {
	const tries = 5
	for range tries {
		if !p.cleared {
			return ledger.Accepted{}, errors.New("this update was not prepared, or was refused: nothing was sent")
		}
		got, err := d.accept(ctx, p)
		if !errors.Is(err, ledger.ErrSequence) {
			return got, err
		}
		if p, err = d.Prepare(ctx, p.submission); err != nil {
			return ledger.Accepted{}, err
		}
	}
	return ledger.Accepted{}, fmt.Errorf("update of %s: %w, %d times in a row: try again", p.Update.Incident, ledger.ErrSequence, tries)
}

func (d *Dispatcher) accept(ctx context.Context, p Prepared) (ledger.Accepted, error) {
	began := d.o.Now()
	row, err := rowOf(p, began)
	if err != nil {
		return ledger.Accepted{}, err
	}
	got, err := d.record(ctx, p.Update, row, p.Plan, p.Earlier != nil)
	d.traceAccept(p.Update, p.took, p.New, began, got, err)
	return got, err
}

// record accepts an update, tells those who watch, and wakes the lanes.
func (d *Dispatcher) record(ctx context.Context, u incident.Update, row ledger.Update, p Plan, earlier bool) (ledger.Accepted, error) {
	a := ledger.Acceptance{Incident: incidentRow(u), Update: row, Renderings: p.messages()}
	got, err := d.write(ctx, &a, p)
	if err != nil {
		return got, fmt.Errorf("record the update: %w", err)
	}
	if a.Rest != nil && (earlier || !got.Duplicate) { // else those are of whoever was a moment faster
		got.Added += got.Update.Unwritten
	}
	d.accepted(u, a, got)
	d.wake()
	for _, r := range p.Renderings {
		if r.Fallback != nil {
			d.o.Record.Trouble(partTemplate, r.Channel)
		}
	}
	return got, nil
}

func (p Plan) messages() []channels.Message {
	all := make([]channels.Message, len(p.Renderings))
	for i, r := range p.Renderings {
		all[i] = r.Message
	}
	return all
}

// write puts an update into the ledger, with all its deliveries or the first ones.
func (d *Dispatcher) write(ctx context.Context, a *ledger.Acceptance, p Plan) (ledger.Accepted, error) {
	if p.draft == nil {
		return d.o.Ledger.Accept(ctx, *a)
	}
	m, err := p.draft.maker()
	if err != nil {
		return ledger.Accepted{}, err
	}
	e, expands := d.o.Ledger.(ledger.Expander)
	if n := p.draft.new; !expands || n <= expandAbove {
		a.Deliveries = slices.Collect(p.draft.fresh(m, 0, p.draft.roster.places()))
	} else if a.Deliveries, a.Rest, err = p.draft.begin(m, n); err != nil {
		return ledger.Accepted{}, err
	}
	got, err := d.o.Ledger.Accept(ctx, *a)
	if errors.Is(err, ledger.ErrNoRoster) {
		r := p.draft.roster
		if err := e.PutRoster(ctx, r.digest, d.o.Now(), r.encoded()); err != nil {
			return got, err
		}
		got, err = d.o.Ledger.Accept(ctx, *a)
	}
	return got, err
}

// accepted tells those who watch.
func (d *Dispatcher) accepted(u incident.Update, a ledger.Acceptance, got ledger.Accepted) {
	d.event(Event{Kind: EventAccepted, Update: u.Key, Incident: u.Incident, Customer: u.Customer, Count: got.Added})
	d.overtook(u.Incident, got.Superseded)
	d.notWritten(Event{Update: u.Key, Incident: u.Incident, Customer: u.Customer}, u.Severity.String(), a.Deliveries)
}

// overtook tells of older deliveries that an update has superseded.
func (d *Dispatcher) overtook(incident string, ended []ledger.Ended) {
	for _, e := range ended {
		d.o.Record.Settled(e.Customer, e.Channel, e.Severity, string(e.Outcome), e.Key, d.o.Now().Sub(e.Accepted))
		d.event(Event{
			Kind: EventSettled, Incident: incident, Customer: e.Customer, Channel: e.Channel, Key: e.Key,
			Outcome: e.Outcome, Detail: "a newer update overtook it",
		})
	}
}

// notWritten tells of deliveries that were settled as they were written down, for
// nobody is written to any more at their address. of is what they have in common.
func (d *Dispatcher) notWritten(of Event, severity string, rows []ledger.Planned) {
	for _, x := range rows {
		if x.Suppressed == "" {
			continue
		}
		d.o.Record.Settled(of.Customer, x.Channel, severity, string(ledger.Suppressed), x.Key, 0)
		of.Kind, of.Channel, of.Key = EventSettled, x.Channel, x.Key
		of.To = channels.Recipient{Address: x.To.Address, Name: x.To.Name}
		of.Outcome, of.Detail = ledger.Suppressed, x.Suppressed
		d.event(of)
	}
}
