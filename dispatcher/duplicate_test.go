package dispatcher_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// The same update sent twice delivers once and says so.
func TestDuplicate(t *testing.T) {
	r, far := newIntake(t)
	first := r.publish(dispatcher.Submission{Source: []byte(text)})
	r.work()
	// Pasted again, with other line ends.
	again := dispatcher.Submission{Source: []byte(strings.ReplaceAll(text, "\n", "\r\n"))}
	p := r.prepare(again)
	if p.Earlier == nil || p.Earlier.Key != first.Update.Key || p.New != 0 {
		t.Fatalf("not recognised: earlier %+v, %d new", p.Earlier, p.New)
	}
	got, err := r.d.Publish(t.Context(), p)
	if err != nil || !got.Duplicate || got.Added != 0 {
		t.Fatalf("Publish: %+v, %v", got, err)
	}
	r.work()
	if n := len(far["mail"].all()); n != 3 {
		t.Errorf("%d mails, want 3", n)
	}
}

// Sent to some first and then to all, everybody gets it once, as the same update of
// the same incident.
func TestDuplicateAddsWhoIsMissing(t *testing.T) {
	r, far := newIntake(t)
	one := r.publish(dispatcher.Submission{Source: []byte(text), Only: []string{"internal"}})
	r.work()
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if p.New != 4 || p.Update.Incident != one.Update.Incident || p.Update.Seq != 1 {
		t.Errorf("%d new, incident %s, update %d", p.New, p.Update.Incident, p.Update.Seq)
	}
	got, err := r.d.Publish(t.Context(), p)
	if err != nil || !got.Duplicate || got.Added != 4 {
		t.Errorf("Publish: %+v, %v", got, err)
	}
	r.work()
	r.tally(one.Update.Key, ledger.Delivered, 6)
	if n := len(far["chat"].all()) + len(far["mail"].all()) + len(far["page"].all()); n != 6 {
		t.Errorf("%d sent, want 6", n)
	}
}

// Rule 3: an old update is not sent to anybody once a newer one was accepted, not
// even to those who never got it.
func TestRule3OldUpdateStaysOld(t *testing.T) {
	r, far := newIntake(t)
	r.publish(dispatcher.Submission{Source: []byte(text), Only: []string{"internal"}})
	r.publish(dispatcher.Submission{Source: []byte(strings.Replace(text, "Identified", "Resolved", 1))})
	r.work()
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if p.New != 0 || p.Plan.Count() != 0 || len(p.Plan.Left) != 4 ||
		!strings.Contains(p.Plan.Left[0].Why, "update 2 of the incident (resolved) was accepted since") {
		t.Errorf("plan %+v", p.Plan)
	}
	if got, err := r.d.Publish(t.Context(), p); err != nil || got.Added != 0 {
		t.Errorf("Publish: %+v, %v", got, err)
	}
	r.work()
	if n := len(far["page"].all()); n != 1 {
		t.Errorf("%d on the page, want the resolved one alone", n)
	}
}

func TestSameTextForAnotherIncident(t *testing.T) {
	r, _ := newIntake(t)
	r.publish(dispatcher.Submission{Source: []byte(text), Incident: "INC-1"})
	_, err := r.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(text), Incident: "INC-2"})
	if _, ok := errors.AsType[incident.Problems](err); !ok || !strings.Contains(err.Error(), "INC-1") {
		t.Errorf("Prepare: %v, want a problem that names INC-1", err)
	}
	p := r.prepare(dispatcher.Submission{Source: []byte(text), Incident: "INC-2", Key: "second"})
	if p.Update.Incident != "INC-2" || p.Update.Key != "second" {
		t.Errorf("got %s, key %s", p.Update.Incident, p.Update.Key)
	}
}

// Two people send at the same moment: both updates are accepted, one after the
// other.
func TestPublishAfterAnother(t *testing.T) {
	r, _ := newIntake(t)
	r.publish(dispatcher.Submission{Source: []byte(text)})
	two := r.prepare(dispatcher.Submission{Source: []byte(strings.Replace(text, "slow", "slower", 1))})
	three := r.prepare(dispatcher.Submission{Source: []byte(strings.Replace(text, "slow", "slowest", 1))})
	if two.Update.Seq != 2 || three.Update.Seq != 2 {
		t.Fatalf("prepared as %d and %d", two.Update.Seq, three.Update.Seq)
	}
	for i, p := range []dispatcher.Prepared{two, three} {
		got, err := r.d.Publish(t.Context(), p)
		if err != nil || got.Update.Seq != i+2 {
			t.Errorf("Publish: update %d, %v; want %d", got.Update.Seq, err, i+2)
		}
	}
}

func TestPublishTogether(t *testing.T) {
	r, _ := newIntake(t)
	var wg sync.WaitGroup
	for i := range 8 {
		s := dispatcher.Submission{
			Source:   []byte(strings.Replace(text, "slow", "slow"+strings.Repeat("!", i), 1)),
			Incident: "INC-1",
		}
		wg.Go(func() {
			for { // more than five others may come first
				p, err := r.d.Prepare(context.Background(), s)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = r.d.Publish(context.Background(), p)
				if err == nil {
					return
				}
				if !errors.Is(err, ledger.ErrSequence) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	all, err := r.l.Updates(t.Context(), ledger.UpdateQuery{Incident: "INC-1"})
	if err != nil || len(all) != 8 {
		t.Fatalf("%d updates (%v), want 8", len(all), err)
	}
	for i, u := range all {
		if u.Seq != 8-i {
			t.Errorf("update %d is %d", i, u.Seq)
		}
	}
}

// A key that another begins with is another key.
func TestKeyThatBeginsAnother(t *testing.T) {
	r, _ := newIntake(t)
	r.publish(dispatcher.Submission{Source: []byte(text), Key: "update-1-again"})
	p := r.prepare(dispatcher.Submission{Source: []byte(text), Key: "update-1"})
	if p.Earlier != nil || p.New != 6 {
		t.Errorf("taken for %+v, %d new", p.Earlier, p.New)
	}
}
