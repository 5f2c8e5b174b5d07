package dispatcher

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// Reminding is how the promises of open incidents are watched.
type Reminding struct {
	Rule      ReminderRule            // for every customer
	Customers map[string]ReminderRule // customer ids with a rule of their own, instead of Rule

	// Duty keeps other processes on the same ledger from looking at the same
	// time. Nil: there are none. Nothing is sent twice without it either.
	Duty ledger.Duty

	// Poll is how often the open incidents are looked at, whatever happens. Zero:
	// thirty seconds. In between they are looked at when something has changed in
	// the ledger (see ledger.Changes), which is noticed within a second or so,
	// whichever process did it; in a ledger that cannot tell, a reminder is on time
	// only if its promise was made longer than Poll before.
	Poll time.Duration
}

// ReminderRule says who is reminded of a promise, and when. Its zero value reminds
// nobody.
type ReminderRule struct {
	// At are times before (negative) and after the promise at which the internal
	// lists of the incident are reminded: -10m, 0, 5m.
	At []time.Duration

	Escalate Escalation
}

// Escalation tells one more list of a promise that was not kept.
type Escalation struct {
	After time.Duration // after the promise
	List  string        // id of an internal list; empty: nobody is told
}

const (
	defaultRemindPoll = 30 * time.Second
	dutyReminders     = "reminders"

	// A promise that nobody was reminded of for so long is not one that anybody
	// waits for any more.
	remindAtMost = 24 * time.Hour
)

// Reminder is the promise clock: it reminds our own people of the next updates that
// were promised, and tells others when one is overdue.
//
// A reminder is an update of its own in the ledger, with one delivery a recipient:
// it is retried, settled, counted and reported like any other. Its key follows from
// the promise and from which reminder of it this is, so no restart and no second
// process sends it again. It belongs to an incident of its own, see [ReminderOf].
//
// What is overtaken by time is not sent: after a break only the latest reminder that
// is due. As soon as a newer update of the incident is accepted nothing more is
// sent, and what is still pending is cancelled, where the engine is a
// [ledger.Canceller]; it expires within a quarter of an hour in any case.
type Reminder struct {
	d    *Dispatcher
	o    Reminding
	made map[string]made // reminders that are in the ledger, by key
	seen string          // the place in the ledger's changes that was looked at last
}

// made is a reminder that is in the ledger.
type made struct {
	incident string // whose promise it is about
	seq      int    // of the update that made the promise
	pending  time.Time
	forget   time.Time
}

// NewReminder checks the rules against the customers' lists and returns every mistake
// at once. It starts nothing. After a [Dispatcher.Reload] make a new one, of the new
// dispatcher: what the one before has sent it finds in the ledger.
func NewReminder(d *Dispatcher, o Reminding) (*Reminder, error) {
	o.Poll = positive(o.Poll, defaultRemindPoll)
	if err := o.check(d.o.Parties); err != nil {
		return nil, err
	}
	return &Reminder{d: d, o: o, made: map[string]made{}}, nil
}

func (o Reminding) rule(customer string) ReminderRule {
	if own, ok := o.Customers[customer]; ok {
		return own
	}
	return o.Rule
}

func (o Reminding) check(parties []incident.Party) error {
	errs := o.Rule.check("remind")
	for _, id := range slices.Sorted(maps.Keys(o.Customers)) {
		if !slices.ContainsFunc(parties, func(p incident.Party) bool { return p.ID == id }) {
			errs = append(errs, fmt.Errorf("remind: there is no customer %q: add it or correct the name", id))
		}
		errs = append(errs, o.Customers[id].check(fmt.Sprintf("remind, customer %q", id))...)
	}
	return errors.Join(append(errs, o.checkEscalations(parties)...)...)
}

func (r ReminderRule) check(where string) []error {
	var errs []error
	for _, at := range r.At {
		if at.Abs() >= remindAtMost {
			errs = append(errs, fmt.Errorf("%s: %s is more than a day away from the promise: use less than %s", where, at, remindAtMost))
		}
	}
	if e := r.Escalate; e.List != "" && (e.After < 0 || e.After >= remindAtMost) {
		errs = append(errs, fmt.Errorf("%s: escalate after %s: use a time from 0s to less than %s", where, e.After, remindAtMost))
	}
	return errs
}

// checkEscalations finds lists that must not or cannot be escalated to. A customer
// may lack the list that the rule for everybody names, if some customer has it.
func (o Reminding) checkEscalations(parties []incident.Party) []error {
	var errs []error
	found := false
	for _, p := range parties {
		e := o.rule(p.ID).Escalate
		_, own := o.Customers[p.ID]
		l, ok := listOf(p, e.List)
		switch {
		case e.List == "":
		case ok && l.Audience != incident.Internal:
			errs = append(errs, fmt.Errorf("escalate: the list %q of customer %q is for the audience %s: name an internal one", e.List, p.ID, l.Audience))
		case !ok && own:
			errs = append(errs, fmt.Errorf("escalate: the customer %q has no list %q: add it or correct the name", p.ID, e.List))
		}
		_, has := listOf(p, o.Rule.Escalate.List)
		found = found || has
	}
	if name := o.Rule.Escalate.List; name != "" && !found {
		errs = append(errs, fmt.Errorf("escalate: no customer has a list %q: add it or correct the name", name))
	}
	return errs
}

func listOf(p incident.Party, id string) (incident.List, bool) {
	i := slices.IndexFunc(p.Lists, func(l incident.List) bool { return l.ID == id })
	if i < 0 {
		return incident.List{}, false
	}
	return p.Lists[i], true
}

const reminderPrefix = "reminder:"

// ReminderOf tells the ledger's incidents that are reminders from real ones. A
// reminder is kept as an incident of its own with one update, because an update of
// the incident itself would count in its sequence, overtake the updates that are
// still being sent, and change its status. Its status is resolved, so it is never
// among the open ones, and its id is one that no author can write. Lists of
// incidents for people leave these out.
func ReminderOf(id string) (incident string, is bool) {
	rest, is := strings.CutPrefix(id, reminderPrefix)
	if !is {
		return "", false
	}
	parts := strings.Split(rest, ":")
	return strings.Join(parts[:max(1, len(parts)-2)], ":"), true
}
