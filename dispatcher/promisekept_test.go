package dispatcher_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sitrep/dispatcher"
	"sitrep/ledger"
)

func TestPromises(t *testing.T) {
	t0 := time.Date(2026, 11, 22, 19, 0, 0, 0, time.UTC)
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	// row speaks and is accepted at a minute and promises another (0: nothing).
	row := func(id string, seq, minute, next int) ledger.Update {
		u := ledger.Update{Key: id, Incident: id, Customer: "abc", Seq: seq, Status: "identified", At: at(minute), Accepted: at(minute)}
		if next != 0 {
			u.Next = at(next)
		}
		return u
	}
	backdated, late, fresh := row("backdated", 2, 60, 0), row("a moment late", 2, 60, 0), row("resolved", 1, 0, 60)
	backdated.Accepted, late.Accepted, fresh.Status = at(66), at(64), "resolved"
	updates := []ledger.Update{
		row("on time", 1, 0, 60), row("on time", 2, 60, 0),
		row("early", 1, 0, 60), row("early", 2, 30, 90), row("early", 3, 91, 0),
		row("backdated", 1, 0, 60), backdated,
		row("a moment late", 1, 0, 60), late,
		row("open", 1, 0, 120),
		row("due now", 1, 0, 100),
		row("overdue", 1, 0, 99),
		row("reminder:open:1:0s", 1, 0, 60),
		row("silent", 1, 0, 0), row("silent", 2, 50, 0),
		fresh,
	}
	want := map[string][]dispatcher.Keeping{
		"on time": {dispatcher.PromiseKept}, "early": {dispatcher.PromiseKept, dispatcher.PromiseBroken},
		"backdated": {dispatcher.PromiseBroken}, "a moment late": {dispatcher.PromiseKept},
		"open": {dispatcher.PromiseOpen}, "due now": {dispatcher.PromiseOpen}, "overdue": {dispatcher.PromiseBroken},
	}
	rand.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
	before := slices.Clone(updates)
	all := dispatcher.Promises(updates, at(100))
	got := map[string][]dispatcher.Keeping{}
	for _, p := range all {
		got[p.Incident] = append(got[p.Incident], p.Outcome)
	}
	for id := range got {
		if !slices.Equal(got[id], want[id]) {
			t.Errorf("%s: %v, want %v", id, got[id], want[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("promises of %d incidents, want %d: %v", len(got), len(want), got)
	}
	if kept, of := dispatcher.KeptRate(all); kept != 3 || of != 6 {
		t.Errorf("%d of %d kept, want 3 of 6", kept, of)
	}
	for i := range before {
		if updates[i].Key != before[i].Key || updates[i].Seq != before[i].Seq {
			t.Fatal("the caller's slice was changed")
		}
	}
}
