package ledgertest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// t0 is when the first update of every test is accepted.
var t0 = time.Date(2026, 11, 22, 19, 20, 0, 123456000, time.UTC)

// after is so many minutes later.
func after(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

// rig is a store with calls that fail the test when they fail.
type rig struct {
	*testing.T
	Store
	engine Engine

	// unfed says that the feed lacks what became of deliveries: it began late, or
	// was forgotten.
	unfed   bool
	auditor ledger.Ledger
}

// update is the seq-th update of an incident of customer "abc", accepted seq-1
// minutes after t0, for the recipients "channel/address".
func update(incident string, seq int, to ...string) ledger.Acceptance {
	at := after(seq - 1)
	a := ledger.Acceptance{
		Incident: ledger.Incident{
			ID: incident, Customer: "abc", Severity: "SEV1", Started: after(-60),
			Status: "investigating", Seq: seq, Updated: at, Next: after(60),
		},
		Update: ledger.Update{
			Key: fmt.Sprintf("%s-key-%d", incident, seq), Incident: incident, Customer: "abc", Seq: seq, Status: "investigating",
			Title: "Enterprise ABC SEV1 outage", At: at, Accepted: at, Next: after(60), Source: "# Enterprise ABC", Content: []byte(`{"a":1}`),
		},
		Renderings: []channels.Message{{Format: channels.FormatText, Subject: "s", Text: "t"}},
	}
	for _, r := range to {
		channel, address, _ := strings.Cut(r, "/")
		a.Deliveries = append(a.Deliveries, ledger.Planned{
			Key: fmt.Sprintf("%s-%d-%s", incident, seq, r), Channel: channel, To: channels.Recipient{Address: address, Name: "N " + address},
			List: "contacts", Audience: "customer", Expire: at.Add(24 * time.Hour),
		})
	}
	return a
}

// many is n recipients on a channel.
func many(channel string, n int) []string {
	to := make([]string, n)
	for i := range to {
		to[i] = fmt.Sprintf("%s/%05d@abc.example", channel, i)
	}
	return to
}

func (r *rig) accept(a ledger.Acceptance) ledger.Accepted {
	r.Helper()
	got, err := r.Accept(context.Background(), a)
	r.check(err)
	return got
}

// claim asks for up to ten of channel "mail" for ten minutes.
func (r *rig) claim(owner string, now time.Time) []ledger.Claim {
	r.Helper()
	return r.ask(ledger.ClaimRequest{Owner: owner, Now: now}).Claims
}

// ask fills in what most requests share.
func (r *rig) ask(q ledger.ClaimRequest) ledger.Claimed {
	r.Helper()
	if q.Channel == "" {
		q.Channel = "mail"
	}
	if q.Limit == 0 {
		q.Limit = 10
	}
	if q.Until.IsZero() {
		q.Until = q.Now.Add(10 * time.Minute)
	}
	got, err := r.Claim(context.Background(), q)
	r.check(err)
	return got
}

// only claims exactly one.
func (r *rig) only(owner string, now time.Time) ledger.Claim {
	r.Helper()
	c := r.claim(owner, now)
	if len(c) != 1 {
		r.Fatalf("claimed %d deliveries, want one: %+v", len(c), c)
	}
	return c[0]
}

func (r *rig) settle(s ...ledger.Settlement) []ledger.Verdict {
	r.Helper()
	got, err := r.Settle(context.Background(), s)
	r.check(err)
	if len(got) != len(s) {
		r.Fatalf("%d verdicts for %d settlements", len(got), len(s))
	}
	return got
}

// applied settles one and expects it to count.
func (r *rig) applied(s ledger.Settlement) ledger.Outcome {
	r.Helper()
	v := r.settle(s)[0]
	if !v.Applied {
		r.Fatalf("the settlement of delivery %d, attempt %d was not applied", s.ID, s.Attempt)
	}
	return v.Outcome
}

// ends is the settlement of a claim with an outcome, a minute after now.
func ends(c ledger.Claim, o ledger.Outcome, now time.Time) ledger.Settlement {
	s := ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: o, Started: now, Ended: now.Add(time.Minute)}
	if o != ledger.Delivered {
		s.Fault, s.Detail = channels.Rejected, "no"
	}
	return s
}

// again is one that asks for a retry at due.
func again(c ledger.Claim, now, due time.Time) ledger.Settlement {
	s := ends(c, ledger.Pending, now)
	s.Due, s.Fault, s.Detail = due, channels.Unavailable, "connection refused"
	return s
}

// back gives a claim back untried.
func back(c ledger.Claim, due time.Time) ledger.Settlement {
	return ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Untried: true, Due: due}
}

func (r *rig) deliveries(q ledger.DeliveryQuery) []ledger.Delivery {
	r.Helper()
	var all []ledger.Delivery
	for d, err := range r.Deliveries(context.Background(), q) {
		r.check(err)
		all = append(all, d)
	}
	return all
}

// delivery is the one with a key.
func (r *rig) delivery(key string) ledger.Delivery {
	r.Helper()
	for _, d := range r.deliveries(ledger.DeliveryQuery{}) {
		if d.Key == key {
			return d
		}
	}
	r.Fatalf("there is no delivery %s", key)
	return ledger.Delivery{}
}

func (r *rig) outcome(key string, want ledger.Outcome) {
	r.Helper()
	if d := r.delivery(key); d.Outcome != want || d.Settled.IsZero() != (want == ledger.Pending) {
		r.Errorf("%s has outcome %q, settled %v; want %q", key, d.Outcome, d.Settled, want)
	}
}

func (r *rig) attempts(key string) []ledger.Attempt {
	r.Helper()
	got, err := r.Attempts(context.Background(), key)
	r.check(err)
	return got
}

func (r *rig) check(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func addresses(claims []ledger.Claim) string {
	var all []string
	for _, c := range claims {
		all = append(all, fmt.Sprintf("%d:%s", c.Seq, c.To.Address))
	}
	return strings.Join(all, " ")
}

func same[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
