package dispatcher

import (
	"fmt"
	"slices"
	"time"

	"sitrep/ledger"
)

// step is one reminder of a promise.
type step struct {
	offset      time.Duration // from the promise
	escalate    bool
	from, until time.Time // when it is worth sending
}

// steps are the reminders of a promise that is due at due. Each is worth sending until
// the next one is.
func steps(rule ReminderRule, due time.Time) []step {
	offsets := slices.Compact(slices.Sorted(slices.Values(rule.At)))
	var all []step
	for i, at := range offsets {
		s := step{offset: at, from: due.Add(at), until: due.Add(remindAtMost)}
		if i+1 < len(offsets) {
			s.until = due.Add(offsets[i+1])
		}
		all = append(all, s)
	}
	if e := rule.Escalate; e.List != "" {
		all = append(all, step{offset: e.After, escalate: true, from: due.Add(e.After), until: due.Add(remindAtMost)})
	}
	return all
}

// dueSteps are those worth sending now, and when the next of the others is.
func dueSteps(all []step, now time.Time) (due []step, next time.Time) {
	for _, s := range all {
		switch {
		case now.Before(s.from):
			if next.IsZero() || s.from.Before(next) {
				next = s.from
			}
		case now.Before(s.until):
			due = append(due, s)
		}
	}
	return due, next
}

func (s step) name() string {
	if s.escalate {
		return "escalate+" + s.offset.String()
	}
	return s.offset.String()
}

// id is the incident that this reminder is kept as.
func (s step) id(i string, seq int) string {
	return fmt.Sprintf("%s%s:%d:%s", reminderPrefix, i, seq, s.name())
}

// key is the reminder's idempotency key. The incident's latest update made the
// promise, so its number in the sequence names it.
func (s step) key(i ledger.Incident) string {
	return DeliveryKey(i.ID, dutyReminders, s.id(i.ID, i.Seq))
}
