package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// settledRows is all that settlements write. When a change was made that leaves a delivery
// pending is that of its whole batch.
func settledRows(t testing.TB, path string) []string {
	t.Helper()
	var all []string
	for _, query := range []string{
		"SELECT * FROM deliveries ORDER BY id", "SELECT * FROM updates", "SELECT * FROM attempts ORDER BY delivery, number",
		"SELECT * FROM leases ORDER BY id", "SELECT * FROM suppressions", "SELECT n, iif(outcome = '', 0, at) AS at, upd, delivery, attempts, outcome, fault FROM changes",
	} {
		all = append(all, dump(t, path, query)...)
	}
	return all
}

// results makes settlements of claims: most of them are delivered, in the usual way or
// another; some leases are lost, or settled twice.
func results(random *rand.Rand, claims []ledger.Claim) []ledger.Settlement {
	var all []ledger.Settlement
	for i, c := range claims {
		s := ledger.Settlement{
			ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered,
			Started: at, Ended: at.Add(time.Duration(random.IntN(90)) * time.Second),
			Receipt: channels.Receipt{RemoteID: fmt.Sprint("id-", i)},
		}
		switch random.IntN(40) {
		case 0:
			s.Receipt = channels.Receipt{RemoteID: "\xff", Permalink: strings.Repeat("p", ledger.MaxReceipt+1), Thread: channels.Thread(strings.Repeat("t", ledger.MaxThread))}
		case 1, 2:
			s.Receipt.Permalink, s.Receipt.Thread = fmt.Sprint("https://chat.example/", i), channels.Thread(fmt.Sprint("thread ", i))
		case 3:
			s.Detail = "it was slow"
		case 4:
			s.Fault, s.Detail = channels.Unavailable, []string{"", "no, and then yes"}[random.IntN(2)]
		case 5, 6:
			s.Outcome, s.Fault, s.Detail, s.Suppress = ledger.Failed, channels.NoRecipient, "no such user", random.IntN(2) == 0
		case 7, 8:
			s.Outcome, s.Due, s.Fault, s.Detail = ledger.Pending, at.Add(time.Minute), channels.Unavailable, "try again"
		case 9:
			s.Outcome, s.Due, s.Untried, s.Receipt = ledger.Pending, at.Add(time.Minute), true, channels.Receipt{}
		case 10:
			s.Outcome, s.Untried, s.Detail = ledger.Expired, true, "too late"
		case 11:
			s.Owner = "somebody else"
		case 12:
			s.Attempt++
		case 13:
			s.ID += 1_000_000
		case 14:
			all = append(all, s)
			s.Outcome, s.Fault = ledger.Failed, channels.Rejected
		case 15:
			s.Suppress, s.Detail = true, []string{"", "delivered, but never again"}[random.IntN(2)]
		case 16:
			s.Outcome, s.Fault, s.Detail = ledger.Unknown, channels.Ambiguous, "cut off"
		}
		all = append(all, s)
	}
	return all
}

// TestSettledTogether settles the same claims at once and one by one.
func TestSettledTogether(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 33, 400} {
		for seed := range uint64(3) {
			together, one := newFile(t), newFile(t)
			var want, got []ledger.Verdict
			for _, path := range []string{together, one} {
				l := open(t, path)
				random := rand.New(rand.NewPCG(seed, uint64(n)))
				all := prepare(t, l, random, n)
				if path == together {
					got = settle(t, l, all)
					for i, v := range got {
						if v.Applied {
							recorded(t, path, all[i].Clean(), v.Outcome)
						}
					}
					continue
				}
				for _, s := range all {
					want = append(want, settle(t, l, []ledger.Settlement{s})...)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d of seed %d: verdicts %+v, want %+v", n, seed, got, want)
			}
			equal(t, fmt.Sprint(n, " of seed ", seed), settledRows(t, together), settledRows(t, one))
		}
	}
}

// recorded checks that all of a settlement is on record.
func recorded(t *testing.T, path string, s ledger.Settlement, outcome ledger.Outcome) {
	t.Helper()
	want := fmt.Sprintf("outcome=%s ", outcome)
	query := "SELECT outcome"
	also := func(column string, value any) {
		query += ", " + column + " AS x"
		want += fmt.Sprintf("x=%v ", value)
	}
	if !s.Untried {
		also("attempts", s.Attempt)
		also("(SELECT count(*) FROM attempts a WHERE a.delivery = id AND a.number = d.attempts AND a.fault = '"+string(s.Fault)+"')", min(len(s.Fault), 1))
	}
	if s.Suppress {
		also("EXISTS (SELECT 1 FROM suppressions s WHERE s.channel = d.channel AND s.address = d.address)", 1)
	}
	if s.Detail != "" {
		also("detail", s.Detail)
	}
	if outcome != ledger.Pending {
		also("settled", s.Ended.UnixMicro())
		also("remote", s.Receipt.RemoteID)
		also("permalink", s.Receipt.Permalink)
		also("thread", s.Receipt.Thread)
	}
	equal(t, "settlement", dump(t, path, query+fmt.Sprint(" FROM deliveries d WHERE id = ", s.ID)), []string{want})
}

// prepare has two updates claimed, some of them for the second time; a newer one of the
// first incident is there for half of its recipients.
func prepare(t *testing.T, l *sqlite.Ledger, random *rand.Rand, n int) []ledger.Settlement {
	t.Helper()
	newer := small("INC-1", n)
	newer.Update.Key, newer.Update.Seq, newer.Incident.Seq = "newer", 2, 2
	for i := range newer.Deliveries {
		newer.Deliveries[i].Key += " newer"
	}
	newer.Deliveries = newer.Deliveries[:n/2]
	for _, a := range []ledger.Acceptance{small("INC-1", n), small("INC-2", n)} {
		if _, err := l.Accept(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	first := claim(t, l, 2*n)
	for i := range first { // a third of them is claimed once more, by the same owner
		if i%3 != 0 {
			continue
		}
		s := ledger.Settlement{ID: first[i].ID, Owner: "me", Attempt: 1, Due: at, Untried: i%2 == 0, Started: at, Ended: at}
		if v := settle(t, l, []ledger.Settlement{s}); !v[0].Applied {
			t.Fatal("it was not given back")
		}
	}
	second := claim(t, l, 2*n)
	if _, err := l.Accept(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	return results(random, slices.Concat(first, second))
}

func claim(t *testing.T, l *sqlite.Ledger, n int) []ledger.Claim {
	t.Helper()
	got, err := l.Claim(t.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "me", Now: at, Until: at.Add(time.Hour), Limit: n})
	if err != nil {
		t.Fatal(err)
	}
	return got.Claims
}

func settle(t *testing.T, l *sqlite.Ledger, all []ledger.Settlement) []ledger.Verdict {
	t.Helper()
	got, err := l.Settle(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestSettledWithTheDiskFull records receipts for which there is no room: of all the
// settlements nothing is there, whichever of them it was that did not fit.
func TestSettledWithTheDiskFull(t *testing.T) {
	for name, change := range map[string]func(*ledger.Settlement){
		"delivered as usual": func(*ledger.Settlement) {},
		"delivered late":     func(s *ledger.Settlement) { s.Detail = "it was slow" },
		"failed": func(s *ledger.Settlement) {
			s.Outcome, s.Fault, s.Suppress, s.Detail = ledger.Failed, channels.Rejected, true, "no"
		},
	} {
		for _, n := range []int{1, 15, 40} {
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				path := newFile(t)
				l := open(t, path)
				if _, err := l.Accept(t.Context(), small("INC-1", n)); err != nil {
					t.Fatal(err)
				}
				var all []ledger.Settlement
				for _, c := range claim(t, l, n) {
					s := ledger.Settlement{ID: c.ID, Owner: "me", Attempt: 1, Outcome: ledger.Delivered, Ended: at}
					s.Receipt.Thread = channels.Thread(strings.Repeat("t", ledger.MaxThread))
					change(&s)
					all = append(all, s)
				}
				before := settledRows(t, path)
				if err := l.Full(t.Context()); err != nil {
					t.Fatal(err)
				}
				if _, err := l.Settle(t.Context(), all); err == nil || !strings.Contains(err.Error(), "disk is full") {
					t.Errorf("with a full disk: %v", err)
				}
				equal(t, "with a full disk", settledRows(t, path), before)
				if err := l.Roomy(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, v := range settle(t, l, all) {
					if !v.Applied {
						t.Error("with room again one is not applied")
					}
				}
			})
		}
	}
}
