package sqlite_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// life is a ledger in the hands of two processes that do anything at all.
type life struct {
	*twin
	*rand.Rand
	now     time.Time
	claims  []ledger.Claim // not settled
	updates []ledger.Acceptance
	fresh   int // claims that were not read from the file
}

// TestFreshAtRandom holds every claim to what the file says. There are few incidents,
// so that what was pruned is there again soon, with the same keys.
func TestFreshAtRandom(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := &life{twin: newTwin(t), Rand: rand.New(rand.NewPCG(seed, 7)), now: at}
			l.accept(l.mine, small("BASE", 1))
			for range 300 {
				l.step()
				l.now = l.now.Add(time.Duration(1+l.IntN(20)) * time.Second)
			}
			if l.fresh < 100 {
				t.Errorf("only %d claims were of what was just written: the test proves nothing", l.fresh)
			}
		})
	}
}

// either is one of the two processes.
func (l *life) either() *sqlite.Ledger {
	if l.IntN(3) == 0 {
		return l.other
	}
	return l.mine
}

func (l *life) step() {
	switch l.IntN(16) {
	case 0, 1, 2:
		a := l.update()
		l.accept(l.either(), a)
		l.updates = append(l.updates, a)
	case 3:
		a := l.update()
		l.refused(l.mine, a)
		if l.IntN(2) == 0 {
			a.Update.Accepted = l.now.Add(time.Second)
			l.accept(l.other, a)
		}
	case 4:
		a := l.update()
		inChunks(l, l.either(), a, l.IntN(len(a.Deliveries)), 1+l.IntN(40), nil)
	case 5, 6, 7, 8, 9:
		l.take(l.either())
	case 10, 11:
		l.settle(l.either())
	case 12:
		l.pruneAll()
	case 13:
		l.now = l.now.Add(2 * time.Minute) // whatever is claimed, has lapsed
	default:
		if len(l.updates) > 0 {
			l.change(l.either(), l.updates[l.IntN(len(l.updates))])
		}
	}
}

// update is the next of an incident, as far as it is there.
func (l *life) update() ledger.Acceptance {
	l.Helper()
	id := fmt.Sprint("INC-", l.IntN(5))
	all, err := l.mine.Incidents(l.Context(), ledger.IncidentQuery{ID: id})
	if err != nil {
		l.Fatal(err)
	}
	a := mixed(l.Rand, 1+l.IntN(60))
	a.Incident.ID, a.Incident.Seq = id, 1
	if len(all) > 0 {
		a.Incident.Seq = all[0].Seq + 1
	}
	if l.IntN(2) == 0 {
		a.Incident.Status = "resolved"
	}
	a.Incident.Customer, a.Incident.Updated = fmt.Sprint("customer ", l.IntN(3)), l.now
	a.Update = ledger.Update{
		Key: fmt.Sprint(id, " ", a.Incident.Seq), Incident: id, Customer: a.Incident.Customer, Seq: a.Incident.Seq,
		Status: a.Incident.Status, At: l.now, Accepted: l.now,
	}
	for i := range a.Deliveries {
		p := &a.Deliveries[i]
		p.Key = fmt.Sprint(a.Update.Key, " ", p.Channel, " ", p.To.Address)
	}
	return a
}

// take claims some.
func (l *life) take(of *sqlite.Ledger) {
	l.Helper()
	r := ledger.ClaimRequest{Channel: "mail", Owner: fmt.Sprintf("%p", of), Now: l.now, Until: l.now.Add(time.Minute), Limit: 1 + l.IntN(60)}
	if l.IntN(3) == 0 {
		r.Channel = "chat"
	}
	if l.IntN(4) == 0 {
		r.Incident = fmt.Sprint("INC-", l.IntN(5))
	}
	before := of.Fresh()
	l.claims = append(l.claims, l.claim(of, r)...)
	l.fresh += before - of.Fresh()
}

// settle settles about half of what was claimed, whoever did it, some of it too late.
func (l *life) settle(of *sqlite.Ledger) {
	l.Helper()
	n := len(l.claims) / 2
	all := results(l.Rand, l.claims[:n])
	for i := range all {
		s := &all[i]
		s.Started, s.Ended = l.now, l.now
		if s.Outcome == ledger.Pending {
			s.Due = l.now.Add(time.Duration(l.IntN(100)) * time.Second)
		}
		if s.Outcome == ledger.Delivered && l.IntN(3) == 0 {
			s.Receipt.Thread = channels.Thread(fmt.Sprint("thread ", s.ID))
		}
	}
	if _, err := of.Settle(l.Context(), all); err != nil {
		l.Fatal(err)
	}
	l.claims = l.claims[n:]
}

// change does to an update what people do to them.
func (l *life) change(of *sqlite.Ledger, a ledger.Acceptance) {
	l.Helper()
	var err error
	switch l.IntN(3) {
	case 0:
		_, err = of.Reopen(l.Context(), a.Update.Key, l.now, l.now.Add(time.Hour))
	case 1:
		_, err = of.Cancel(l.Context(), a.Update.Key, l.now)
	case 2:
		for i := range 30 {
			address := fmt.Sprint("more ", i, "@abc.example")
			a.Deliveries = append(a.Deliveries, ledger.Planned{Key: a.Update.Key + " mail " + address, Channel: "mail", To: channels.Recipient{Address: address}})
		}
		_, err = of.Accept(l.Context(), a)
	}
	if err != nil && !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrSequence) {
		l.Fatal(err)
	}
}

// pruneAll has the other process end everything, and prunes what is resolved.
func (l *life) pruneAll() {
	l.Helper()
	for range 8 { // updates of an incident come one after the other
		for _, channel := range []string{"mail", "chat"} {
			got, err := l.other.Claim(l.Context(), ledger.ClaimRequest{Channel: channel, Owner: "end", Now: l.now.Add(2 * time.Minute), Until: l.now.Add(3 * time.Minute), Limit: 10_000})
			if err != nil {
				l.Fatal(err)
			}
			var all []ledger.Settlement
			for _, c := range got.Claims {
				all = append(all, ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered, Ended: l.now})
			}
			if _, err := l.other.Settle(l.Context(), all); err != nil {
				l.Fatal(err)
			}
		}
	}
	if _, err := l.either().Prune(l.Context(), l.now.Add(time.Hour)); err != nil {
		l.Fatal(err)
	}
}
