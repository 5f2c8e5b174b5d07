package sqlite_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// packer is a ledger that packs from two deliveries on, with calls that fail the test
// when they fail.
type packer struct {
	testing.TB
	*sqlite.Ledger
	path string
}

func openPacker(t testing.TB, path string) packer {
	t.Helper()
	l := open(t, path)
	l.PackFrom(2)
	return packer{t, l, path}
}

// must fails the test if err is one.
func (p packer) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p packer) accept(a ledger.Acceptance) ledger.Accepted {
	p.Helper()
	got, err := p.Accept(p.Context(), a)
	p.must(err)
	return got
}

// claim takes so many of channel "mail" for ten minutes.
func (p packer) claim(owner string, now time.Time, limit int) []ledger.Claim {
	p.Helper()
	got, err := p.Claim(p.Context(), ledger.ClaimRequest{Channel: "mail", Owner: owner, Now: now, Until: now.Add(10 * time.Minute), Limit: limit})
	p.must(err)
	return got.Claims
}

// deliver settles claims as most are settled, and returns how many were ours to settle.
func (p packer) deliver(claims []ledger.Claim, ended time.Time) int {
	p.Helper()
	all := make([]ledger.Settlement, len(claims))
	for i, c := range claims {
		all[i] = arrived(c, ended)
	}
	return p.settle(all...)
}

func (p packer) settle(all ...ledger.Settlement) int {
	p.Helper()
	verdicts, err := p.Settle(p.Context(), all)
	p.must(err)
	n := 0
	for _, v := range verdicts {
		if v.Applied {
			n++
		}
	}
	return n
}

// arrived is the settlement of a claim whose message arrived at the first attempt.
func arrived(c ledger.Claim, ended time.Time) ledger.Settlement {
	return ledger.Settlement{
		ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered, Started: ended, Ended: ended,
		Receipt: channels.Receipt{RemoteID: "id of " + c.Key, Permalink: "https://x.example/" + c.Key, Thread: channels.Thread("thread of " + c.Key)},
	}
}

// again is the settlement of a claim that is to be tried again.
func again(c ledger.Claim, ended time.Time) ledger.Settlement {
	return ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Due: ended.Add(time.Minute), Fault: channels.Unavailable, Detail: "no", Started: ended, Ended: ended}
}

// expand writes a chunk of an update.
func (p packer) expand(update string, chunk int, all ...ledger.Planned) (ledger.Accepted, error) {
	return p.Expand(p.Context(), ledger.Expanded{Update: update, Chunk: chunk, Deliveries: all, Count: len(all), Now: at})
}

// begun accepts the first few deliveries of an update, and leaves so many chunks.
func (p packer) begun(a ledger.Acceptance, first, chunks int) {
	p.Helper()
	p.must(p.PutRoster(p.Context(), a.Update.Key, at, slices.Values(make([][]byte, chunks))))
	rest := len(a.Deliveries) - first
	a.Rest = &ledger.Rest{Roster: a.Update.Key, Chunks: chunks, Count: rest}
	a.Deliveries = a.Deliveries[:first]
	if got := p.accept(a); got.Added != first {
		p.Fatalf("%d were added, want %d", got.Added, first)
	}
}

// listed is a line for each delivery, by its key.
func (p packer) listed() map[string]ledger.Delivery {
	p.Helper()
	all := map[string]ledger.Delivery{}
	for d, err := range p.Deliveries(p.Context(), ledger.DeliveryQuery{}) {
		p.must(err)
		all[d.Key] = d
	}
	return all
}

// fed is what the feed says of each delivery and update, in order.
func (p packer) fed() map[string][]string {
	p.Helper()
	feed, err := p.Changes(p.Context(), "", 1<<20)
	p.must(err)
	all := map[string][]string{}
	for _, c := range feed {
		of := c.Update + "/" + c.Delivery
		all[of] = append(all[of], fmt.Sprintf("%v %q %d %q %s %s %+v", c.At.Format(time.TimeOnly), c.Outcome, c.Attempts, c.Fault, c.Channel, c.List, c.To))
	}
	return all
}

// inPacks checks how many packs of this handle there are.
func (p packer) inPacks(want int) {
	p.Helper()
	if n := p.Packs(); n != want {
		p.Fatalf("%d packs, want %d", n, want)
	}
}
