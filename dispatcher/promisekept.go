package dispatcher

import (
	"cmp"
	"slices"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// Promised is one promise of a next update, and what became of it.
type Promised struct {
	Incident, Customer string
	Update             string // key of the update that made it
	Seq                int    // of that update
	Due                time.Time

	// Next is when the update that followed speaks, and Sent when it was accepted;
	// zero if there was none so far.
	Next, Sent time.Time

	Outcome Keeping
}

// Keeping is what became of a promise. The set is closed.
type Keeping string

// What becomes of promises.
const (
	PromiseKept   Keeping = "kept"
	PromiseBroken Keeping = "broken" // the update came late, or has not come and is overdue
	PromiseOpen   Keeping = "open"   // there is time left
)

// writing is how long an update may be on its way from its author's clock to being
// accepted and still count as of the time it bears.
const writing = 5 * time.Minute

// Promises says of every promise that the updates made what became of it by now, by
// incident and in the order they were made. It is pure. The updates may be of several
// incidents and in any order; reminders among them do not count.
//
// A promise is kept if the update that followed speaks no later than it was due, and
// was accepted by then or within five minutes: an update that bears an earlier time
// than it was sent at keeps nothing. A resolved incident promises nothing.
func Promises(updates []ledger.Update, now time.Time) []Promised {
	sorted := slices.SortedFunc(slices.Values(updates), func(a, b ledger.Update) int {
		return cmp.Or(cmp.Compare(a.Incident, b.Incident), cmp.Compare(a.Seq, b.Seq))
	})
	var all []Promised
	for i, u := range sorted {
		if _, reminder := ReminderOf(u.Incident); reminder || u.Next.IsZero() || u.Status == string(incident.Resolved) {
			continue
		}
		p := Promised{Incident: u.Incident, Customer: u.Customer, Update: u.Key, Seq: u.Seq, Due: u.Next}
		if i+1 < len(sorted) && sorted[i+1].Incident == u.Incident {
			p.Next, p.Sent = sorted[i+1].At, sorted[i+1].Accepted
		}
		p.Outcome = p.outcome(now)
		all = append(all, p)
	}
	return all
}

func (p Promised) outcome(now time.Time) Keeping {
	switch {
	case p.Sent.IsZero() && !now.After(p.Due):
		return PromiseOpen
	case p.Sent.IsZero(), p.Next.After(p.Due), p.Sent.After(p.Due.Add(writing)):
		return PromiseBroken
	default:
		return PromiseKept
	}
}

// KeptRate is how many of the promises were kept, of how many whose time has come.
func KeptRate(all []Promised) (kept, of int) {
	for _, p := range all {
		switch p.Outcome {
		case PromiseKept:
			kept++
			of++
		case PromiseBroken:
			of++
		case PromiseOpen:
		}
	}
	return kept, of
}
