package server

import (
	"cmp"
	"context"
	"errors"
	"strings"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// prepare asks the dispatcher to prepare an update for a caller. Whoever may not know
// of all customers has it read first against what they may know: what is wrong with
// it is then said in terms of that alone.
func (s *Server) prepare(ctx context.Context, who principal, set Setup, sub dispatcher.Submission) (dispatcher.Prepared, error) {
	if !who.all {
		if err := s.preflight(ctx, who, set, sub); err != nil {
			return dispatcher.Prepared{}, err
		}
	}
	got, err := set.Dispatcher.Prepare(ctx, sub)
	if foreign(who, got) {
		return dispatcher.Prepared{}, taken()
	}
	return got, err
}

// foreign reports that what was prepared is of a customer the caller may not know of.
func foreign(who principal, p dispatcher.Prepared) bool {
	return p.Update.Customer != "" && !who.may(p.Update.Customer) || p.Earlier != nil && !who.may(p.Earlier.Customer)
}

// taken is said about a name that is in use where the caller may not look.
func taken() incident.Problems {
	return incident.Problems{{
		What:   "The incident's id or the update's key that you name cannot be used.",
		Remedy: "Choose another one, or leave it out.",
	}}
}

// preflight resolves the update as if there were no other customers.
func (s *Server) preflight(ctx context.Context, who principal, set Setup, sub dispatcher.Submission) error {
	draft, _ := incident.Parse(sub.Source)
	all, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{Open: true})
	if err != nil {
		return err
	}
	known := incident.Known{
		Now: s.o.Now(), Parties: who.parties(set.Parties), Some: true, RequireNext: set.RequireNext,
		Incident: strings.TrimSpace(sub.Incident), Next: sub.Next,
		Find: func(id string) (incident.Incident, bool) { return s.visible(ctx, who, id) },
	}
	for _, i := range all {
		if who.may(i.Customer) {
			known.Open = append(known.Open, dispatcher.IncidentOf(i))
		}
	}
	if _, problems, _ := draft.Resolve(known); len(problems) > 0 {
		return problems
	}
	return s.unclaimed(ctx, who, all, cmp.Or(known.Incident, draft.Front.Incident.Text), cmp.Or(strings.TrimSpace(sub.Key), draft.Key()))
}

// visible is an incident by its id, if the caller may know of it. A ledger that cannot
// answer is found out by whatever is asked of it next.
func (s *Server) visible(ctx context.Context, who principal, id string) (incident.Incident, bool) {
	rows, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: id})
	if err != nil || len(rows) == 0 || !who.may(rows[0].Customer) {
		return incident.Incident{}, false
	}
	return dispatcher.IncidentOf(rows[0]), true
}

// unclaimed refuses an incident or a key of another customer.
func (s *Server) unclaimed(ctx context.Context, who principal, open []ledger.Incident, id, key string) error {
	if id != "" && !strings.EqualFold(id, "new") {
		rows, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: id})
		if err != nil {
			return err
		}
		for _, i := range append(rows, open...) {
			if strings.EqualFold(i.ID, id) && !who.may(i.Customer) {
				return taken()
			}
		}
	}
	rows, err := s.o.Ledger.Updates(ctx, ledger.UpdateQuery{Key: key})
	if err != nil {
		return err
	}
	for _, u := range rows {
		if u.Key == key && !who.may(u.Customer) {
			return taken()
		}
	}
	return nil
}

// turns lets one caller after the other do something about a customer.
type turns [64]chan struct{}

func newTurns() *turns {
	var t turns
	for i := range t {
		t[i] = make(chan struct{}, 1)
	}
	return &t
}

// take waits for a turn, which is over when done is called.
func (t *turns) take(ctx context.Context, customer string) (done func(), err error) {
	turn := t[hashOf(customer)[0]%64]
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// publish records a prepared update. If another update came in between, the
// dispatcher prepares it anew: what it then finds is said as prepare would say it. Only
// one update of a customer is published at a time, so that many callers at once do not
// keep overtaking each other.
func (s *Server) publish(ctx context.Context, who principal, set Setup, sub dispatcher.Submission, p dispatcher.Prepared) (ledger.Accepted, error) {
	done, err := s.turns.take(ctx, p.Update.Customer)
	if err != nil {
		return ledger.Accepted{}, err
	}
	defer done()
	got, err := set.Dispatcher.Publish(ctx, p)
	if _, bad := errors.AsType[incident.Problems](err); bad && !who.all {
		if _, again := s.prepare(ctx, who, set, sub); again != nil {
			return got, again
		}
		return got, taken()
	}
	return got, err
}
