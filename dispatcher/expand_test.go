package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// crowded is a customer with n contacts by mail, half of whom are also on an internal
// list, spelt otherwise.
func crowded(n int) incident.Party {
	staff := incident.List{ID: "staff", Audience: incident.Internal, To: recipients("chat", "war-room")}
	contacts := incident.List{ID: "contacts", Audience: incident.Customer}
	for i := range n {
		contacts.To = append(contacts.To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("user%d@abc.example", i)})
		if i%2 == 0 {
			staff.To = append(staff.To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("User%d@ABC.example", i), Name: fmt.Sprint("Name ", i)})
		}
	}
	return incident.Party{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{staff, contacts}}
}

// newCrowd is a rig for one customer.
func newCrowd(t *testing.T, p incident.Party) (*rig, map[string]*remote) {
	t.Helper()
	far := map[string]*remote{"chat": newRemote(nil), "mail": newRemote(nil)}
	r := newRig(t, lane("chat", far["chat"]), lane("mail", far["mail"]))
	r.open(func(o *dispatcher.Options) { o.Parties = []incident.Party{p} })
	return r, far
}

// updateAt is the row of an update.
func (r *rig) updateAt(key string) ledger.Update {
	r.t.Helper()
	rows, err := r.l.Updates(r.t.Context(), ledger.UpdateQuery{Key: key})
	if err != nil || len(rows) != 1 {
		r.t.Fatalf("update %s: %v, %v", key, rows, err)
	}
	return rows[0]
}

// row is what of a delivery does not depend on how it was written.
type row struct {
	key, channel, list, audience, text string
	to                                 channels.Recipient
	expire                             time.Duration
	outcome                            ledger.Outcome
}

func (r *rig) rows(update string) map[string]row {
	r.t.Helper()
	all := map[string]row{}
	for d, err := range r.l.Deliveries(r.t.Context(), ledger.DeliveryQuery{Update: update}) {
		if err != nil {
			r.t.Fatal(err)
		}
		m, err := r.l.Rendering(r.t.Context(), d.Rendering)
		if err != nil {
			r.t.Fatal(err)
		}
		all[d.Key] = row{d.Key, d.Channel, d.List, d.Audience, m.Text, d.To, d.Expire.Sub(d.Accepted).Round(time.Minute), d.Outcome}
	}
	return all
}

// whole hides that a ledger can write an update bit by bit.
type whole struct{ ledger.Ledger }

// However an update is written down, whole or in chunks, it is for the same people in
// the same words. Each is served as the least privileged of the lists that reach it,
// and nobody outside sees the technical notes.
func TestChunksAreTheSame(t *testing.T) {
	words := [][]string{nil, {"mail"}, {"customer", "public"}, {"internal"}}
	inChunks := 0
	for seed := range uint64(6) {
		p := tangled(seed, 2000)
		s := dispatcher.Submission{Source: []byte(text), Only: words[seed%4]}
		chunked, _ := newCrowd(t, p)
		prepared, err := chunked.d.Prepare(t.Context(), s)
		if err != nil {
			continue // these lists reach nobody so
		}
		got, err := chunked.d.Publish(t.Context(), prepared)
		if err != nil {
			t.Fatal(err)
		}
		if got.Update.Unwritten > 0 {
			inChunks++
		}
		chunked.work()
		atOnce, _ := newCrowd(t, p)
		atOnce.open(func(o *dispatcher.Options) { o.Ledger = whole{o.Ledger} })
		atOnce.publish(s)
		atOnce.work()
		mine, theirs := chunked.rows(got.Update.Key), atOnce.rows(got.Update.Key)
		if len(mine) != prepared.New || !reflect.DeepEqual(mine, theirs) {
			t.Fatalf("seed %d: %d in chunks, %d at once, %d were to be", seed, len(mine), len(theirs), prepared.New)
		}
		checkFirewall(t, p, prepared, mine)
	}
	if inChunks < 3 {
		t.Errorf("%d of the updates were written in chunks, too few to tell", inChunks)
	}
}

// checkFirewall holds what is on record against the lists themselves.
func checkFirewall(t *testing.T, p incident.Party, prepared dispatcher.Prepared, rows map[string]row) {
	t.Helper()
	told, _ := oracle(p, prepared.Update, nil)
	for _, want := range told {
		got, ok := rows[dispatcher.DeliveryKey(prepared.Update.Key, want.To.Channel, want.To.Address)]
		if !ok {
			continue // left out by --only
		}
		if got.audience != string(want.Audience) || got.list != want.Reach[0].List || got.to.Address != want.To.Address || got.to.Name != want.To.Name {
			t.Errorf("%+v, want %+v", got, want)
		}
		if inside := want.Audience == incident.Internal; strings.Contains(got.text, "canary-9f3a") != inside {
			t.Errorf("%s (%s): technical notes shown: %t", got.to.Address, got.audience, !inside)
		}
	}
}

// The first deliveries are there when Publish returns, and all of them count.
func TestLargeUpdateIsAcceptedAtOnce(t *testing.T) {
	r, far := newCrowd(t, crowded(2000))
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if p.New != 2001 || p.Plan.Count() != 2001 {
		t.Errorf("%d new of %d, want 2001", p.New, p.Plan.Count())
	}
	got, err := r.d.Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if written := got.Added - got.Update.Unwritten; got.Added != 2001 || written < 64 || written > 1000 {
		t.Errorf("%d added, %d of them unwritten; want 2001, a few of them written", got.Added, got.Update.Unwritten)
	}
	if e := r.kinds(dispatcher.EventAccepted); len(e) != 1 || e[0].Count != 2001 {
		t.Errorf("accepted: %+v", e)
	}
	r.work()
	r.tally(got.Update.Key, ledger.Delivered, 2001)
	if u := r.updateAt(got.Update.Key); u.Unwritten != 0 {
		t.Errorf("%d unwritten", u.Unwritten)
	}
	for _, s := range far["mail"].all() {
		if strings.Contains(s.text, "canary-9f3a") {
			t.Fatalf("%s was shown technical notes", s.to)
		}
	}
}

// An update is finished as it was decided, by whoever comes, whatever has become of
// the lists meanwhile.
func TestFrozenRecipients(t *testing.T) {
	r, _ := newCrowd(t, crowded(2000))
	got := r.publish(dispatcher.Submission{Source: []byte(text), Only: []string{"customer"}})
	p := crowded(10)
	p.Lists[0], p.Lists[1] = p.Lists[1], p.Lists[0]
	p.Lists[0].Audience, p.Lists[0].ID = incident.Internal, "others"
	r.open(func(o *dispatcher.Options) { o.Parties = []incident.Party{p} })
	r.work()
	r.tally(got.Update.Key, ledger.Delivered, 2000)
	for _, row := range r.rows(got.Update.Key) {
		if row.audience != "customer" || row.list != "contacts" || strings.Contains(row.text, "canary-9f3a") {
			t.Fatalf("%+v", row)
		}
	}
}

// One process stops in the middle, and another goes on.
func TestExpansionGoesOn(t *testing.T) {
	r, far := newCrowd(t, crowded(2500))
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	for n := 1; r.updateAt(got.Update.Key).Unwritten > 0; n++ {
		ctx, stop := context.WithCancel(t.Context())
		before := r.updateAt(got.Update.Key).Unwritten
		done := make(chan error, 1)
		go func() { done <- r.d.Work(ctx, dispatcher.Scope{}) }()
		for r.updateAt(got.Update.Key).Unwritten == before {
			time.Sleep(time.Millisecond) // a real ledger's time
		}
		stop()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		r.open(func(o *dispatcher.Options) { o.Parties = nil })
	}
	r.work()
	r.tally(got.Update.Key, ledger.Delivered, 2501)
	if n := len(far["mail"].all()) + len(far["chat"].all()); n != 2501 {
		t.Errorf("%d sent, want each once", n)
	}
}

// Nobody hears of a later update before an earlier one.
func TestOrderAcrossExpansions(t *testing.T) {
	r, far := newCrowd(t, crowded(2000))
	first := r.publish(dispatcher.Submission{Source: []byte(text), Incident: "INC-1"})
	second := strings.Replace(text, "Identified", "Monitoring", 1)
	later := r.publish(dispatcher.Submission{Source: []byte(second), Incident: "INC-1"})
	r.work()
	r.tally(first.Update.Key, ledger.Delivered, 2001)
	r.tally(later.Update.Key, ledger.Delivered, 2001)
	seen := map[string][]string{}
	for _, s := range slices.Concat(far["mail"].all(), far["chat"].all()) {
		seen[s.to] = append(seen[s.to], s.key[:8])
	}
	want := []string{dispatcher.DeliveryKey(first.Update.Key, "", "")[:8], dispatcher.DeliveryKey(later.Update.Key, "", "")[:8]}
	for to, keys := range seen {
		if !slices.Equal(keys, want) {
			t.Fatalf("%s got %v, want %v", to, keys, want)
		}
	}
	if len(seen) != 2001 {
		t.Errorf("%d were told", len(seen))
	}
}

// What is cancelled in the middle is not sent, and is accounted for.
func TestCancelInTheMiddle(t *testing.T) {
	r, _ := newCrowd(t, crowded(2000))
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	back, err := r.d.Cancel(t.Context(), got.Update.Key)
	if err != nil || len(back.Ended) != got.Added-got.Update.Unwritten {
		t.Fatalf("%d taken back of %d: %v", len(back.Ended), got.Added, err)
	}
	r.work()
	r.tally(got.Update.Key, ledger.Cancelled, 2001)
	if n := len(r.kinds(dispatcher.EventSettled)); n != 2001 {
		t.Errorf("%d events, want one a recipient", n)
	}
}

// An address that is not written to any more when its delivery is written down is not
// written to, unless it is to be told by contract.
func TestSuppressedWhileExpanding(t *testing.T) {
	p := crowded(3000)
	p.Lists[1].To[2998].Required = true
	r, far := newCrowd(t, p)
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	for _, n := range []int{2997, 2998} {
		err := r.l.Suppress(t.Context(), ledger.Suppression{Channel: "mail", Address: fmt.Sprintf("user%d@abc.example", n), Reason: "it bounced", At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.work()
	r.tally(got.Update.Key, ledger.Suppressed, 1)
	r.outcome(got.Update.Key, "mail:user2997@abc.example", ledger.Suppressed)
	r.outcome(got.Update.Key, "mail:user2998@abc.example", ledger.Delivered)
	if n := len(far["mail"].all()); n != 2999 {
		t.Errorf("%d sent", n)
	}
	settled := r.kinds(dispatcher.EventSettled)
	if n := len(slices.DeleteFunc(settled, func(e dispatcher.Event) bool { return e.Outcome != ledger.Suppressed })); n != 1 {
		t.Errorf("%d events of a suppressed one, want 1", n)
	}
}

// Sent to some and then to all: those who were told are not told again.
func TestLargeAddition(t *testing.T) {
	r, far := newCrowd(t, crowded(2000))
	inside := r.publish(dispatcher.Submission{Source: []byte(text), Only: []string{"internal"}})
	r.work()
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if inside.Added != 1 || p.New != 2000 {
		t.Fatalf("%d inside, then %d new", inside.Added, p.New)
	}
	got, err := r.d.Publish(t.Context(), p)
	if err != nil || !got.Duplicate || got.Added != 2000 || got.Update.Unwritten == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	again := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if again.New != 0 || len(again.Warnings) == 0 || !strings.Contains(again.Warnings[len(again.Warnings)-1].What, "being written down") {
		t.Errorf("while it is written: %d new, %v", again.New, again.Warnings)
	}
	r.work()
	r.tally(got.Update.Key, ledger.Delivered, 2001)
	if n := len(far["mail"].all()) + len(far["chat"].all()); n != 2001 {
		t.Errorf("%d sent, want each once", n)
	}
	if done := r.prepare(dispatcher.Submission{Source: []byte(text)}); done.New != 0 {
		t.Errorf("%d new afterwards", done.New)
	}
}

// The same update sent by two at once, for some and for all, is for all, and once.
func TestLargeAtTheSameTime(t *testing.T) {
	r, far := newCrowd(t, crowded(2000))
	some := r.prepare(dispatcher.Submission{Source: []byte(text), Only: []string{"customer"}})
	all := r.prepare(dispatcher.Submission{Source: []byte(text)})
	first, err := r.d.Publish(t.Context(), some)
	if err != nil || first.Added != 2000 {
		t.Fatalf("%+v, %v", first, err)
	}
	second, err := r.d.Publish(t.Context(), all)
	if err != nil || !second.Duplicate || second.Added > 1 {
		t.Fatalf("the second added %d (duplicate: %t), %v; want nobody who was there", second.Added, second.Duplicate, err)
	}
	r.work()
	r.tally(first.Update.Key, ledger.Delivered, 2001)
	if n := len(far["mail"].all()) + len(far["chat"].all()); n != 2001 {
		t.Errorf("%d sent, want each once", n)
	}
}

// Two processes at work write every chunk once, and deliver everything once.
func TestTwoExpand(t *testing.T) {
	r, far := newCrowd(t, crowded(2000))
	r.open(func(o *dispatcher.Options) { o.Poll = 50 * time.Millisecond })
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	other, err := sqlite.Open(t.Context(), r.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	o := r.o
	o.Ledger = other
	d, err := dispatcher.New(o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Work(t.Context(), dispatcher.Scope{}) }()
	r.work()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.tally(got.Update.Key, ledger.Delivered, 2001)
	if n := len(far["mail"].all()) + len(far["chat"].all()); n != 2001 {
		t.Errorf("%d sent, want each once", n)
	}
}
