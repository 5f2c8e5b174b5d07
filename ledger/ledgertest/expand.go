package ledgertest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

func expandTests() []test {
	return []test{
		{"SameAsAtOnce", expandedIsTheSame},
		{"StepByStep", expandedStepByStep},
		{"HandleEndsInBetween", expandedByOneAfterAnother},
		{"SeveralAtOnce", expandedBySeveral},
		{"Many", expandedMany},
		{"Order", expandKeepsOrder},
		{"OldestOfAnIncident", expandOldestFirst},
		{"Supersession", expandSupersedes},
		{"Cancelled", expandAfterCancel},
		{"DuplicateInBetween", duplicateWhileUnwritten},
		{"DuplicateWithMore", duplicateWithMore},
		{"Interleaved", expandInterleaved},
		{"Renderings", expandMapsRenderings},
		{"Feed", expandFeed},
		{"Refused", expandRefused},
		{"NotThere", expandNotThere},
		{"ContextIsDone", expandContext},
		{"NotExported", unwrittenIsNotExported},
		{"Rosters", rostersAreKept},
		{"RosterWholeOrNotAtAll", rosterWhole},
		{"RostersArePruned", rostersArePruned},
	}
}

func (r *rig) expander() ledger.Expander {
	r.Helper()
	return addOn[ledger.Expander](r)
}

// roster keeps the deliveries of an update in chunks of size, and returns the update
// with those of the first chunks only. A chunk is what this consumer makes of it.
func (r *rig) roster(a ledger.Acceptance, size, first int) ledger.Acceptance {
	r.Helper()
	all := slices.Collect(slices.Chunk(a.Deliveries, size))
	digest := "roster of " + a.Update.Key
	r.check(r.expander().PutRoster(context.Background(), digest, a.Update.Accepted, func(yield func([]byte) bool) {
		for _, c := range all {
			b, err := json.Marshal(c)
			r.check(err)
			if !yield(b) {
				return
			}
		}
	}))
	n := min(first*size, len(a.Deliveries))
	a.Rest = &ledger.Rest{Roster: digest, Chunk: first, Chunks: len(all), Count: len(a.Deliveries) - n, Plan: []byte("plan of " + a.Update.Key)}
	a.Deliveries = a.Deliveries[:n]
	return a
}

func (r *rig) expansions(incident string) []ledger.Expansion {
	r.Helper()
	all, err := r.expander().Expansions(context.Background(), incident)
	r.check(err)
	return all
}

// step writes the next chunk of an update that is not wholly written.
func step(l ledger.Ledger, e ledger.Expansion, now time.Time) (ledger.Accepted, error) {
	x, ok := l.(ledger.Expander)
	if !ok {
		return ledger.Accepted{}, fmt.Errorf("%T is no Expander", l)
	}
	b, err := x.RosterChunk(context.Background(), e.Roster, e.Chunk)
	if err != nil {
		return ledger.Accepted{}, err
	}
	c := ledger.Expanded{Update: e.Update, Chunk: e.Chunk, Now: now}
	if err := json.Unmarshal(b, &c.Deliveries); err != nil {
		return ledger.Accepted{}, err
	}
	c.Count = len(c.Deliveries)
	return x.Expand(context.Background(), c)
}

func (r *rig) step(e ledger.Expansion, now time.Time) ledger.Accepted {
	r.Helper()
	got, err := step(r.Ledger, e, now)
	r.check(err)
	return got
}

// expand writes all there is to write of an incident, and returns the chunks.
func (r *rig) expand(incident string, now time.Time) int {
	r.Helper()
	for n := 0; ; n++ {
		all := r.expansions(incident)
		if len(all) == 0 {
			return n
		}
		r.step(all[0], now)
	}
}

func (r *rig) unwritten(update string, want int) {
	r.Helper()
	got, err := r.Updates(context.Background(), ledger.UpdateQuery{Key: update})
	r.check(err)
	if len(got) != 1 || got[0].Unwritten != want {
		r.Errorf("%s has %+v, want %d unwritten", update, got, want)
	}
}

// expandedIsTheSame compares what was written in chunks with what was accepted whole.
func expandedIsTheSame(t *testing.T, r *rig) {
	whole := &rig{T: t, Store: r.engine.Open(t), engine: r.engine}
	a := update("INC-1", 1, append(many("mail", 5), many("chat", 4)...)...)
	a.Deliveries[7].Suppressed = "it bounced"
	a.Deliveries[1].To.Locale, a.Deliveries[1].To.Zone = "de-CH", "Europe/Zurich"
	whole.accept(a)
	r.accept(r.roster(a, 2, 1))
	same(t, "chunks", r.expand("", after(3)), 4)
	want, got := whole.deliveries(ledger.DeliveryQuery{}), r.deliveries(ledger.DeliveryQuery{})
	same(t, "deliveries", len(got), len(want))
	for i := range min(len(got), len(want)) {
		if want[i].Outcome == ledger.Suppressed {
			want[i].Settled = after(3) // it was written down as such only then
		}
		want[i].Rendering = got[i].Rendering
		same(t, "delivery", got[i], want[i])
	}
	mine, err := r.Updates(context.Background(), ledger.UpdateQuery{})
	r.check(err)
	theirs, err := whole.Updates(context.Background(), ledger.UpdateQuery{})
	r.check(err)
	same(t, "updates", mine, theirs)
	same(t, "claims", addresses(r.claim("me", after(4))), addresses(whole.claim("me", after(4))))
}

func expandedStepByStep(t *testing.T, r *rig) {
	a := r.roster(update("INC-1", 1, many("mail", 10)...), 3, 1)
	got := r.accept(a)
	u := a.Update
	u.Unwritten = 7
	same(t, "Accepted", got, ledger.Accepted{Added: 3, Update: u})
	want := ledger.Expansion{Rest: *a.Rest, Update: u.Key, Incident: "INC-1", Customer: "abc", Severity: "SEV1", Seq: 1, Accepted: t0}
	for chunk, added := range []int{0, 3, 3, 1} {
		if chunk == 0 {
			continue
		}
		r.unwritten(u.Key, u.Unwritten)
		want.Chunk, want.Count = chunk, u.Unwritten
		same(t, "expansions", r.expansions(""), []ledger.Expansion{want})
		same(t, "of another incident", len(r.expansions("INC-2")), 0)
		e := r.expansions("INC-1")[0]
		u.Unwritten -= added
		same(t, "Expand", r.step(e, after(chunk)), ledger.Accepted{Added: added, Update: u})
		same(t, "once more", r.step(e, after(chunk)), ledger.Accepted{Update: u})
		same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{Update: u.Key})), 10-u.Unwritten)
		e.Chunk++
		if chunk < 3 {
			e.Chunk++ // a chunk too far
			same(t, "out of turn", r.step2(e, after(chunk)), ledger.Accepted{Update: u})
		}
	}
	r.unwritten(u.Key, 0)
	same(t, "expansions", len(r.expansions("")), 0)
	for _, d := range r.deliveries(ledger.DeliveryQuery{}) {
		if !d.Accepted.Equal(t0) || !d.Due.Equal(t0) {
			t.Errorf("%s was accepted %v and is due %v", d.Key, d.Accepted, d.Due)
		}
	}
	same(t, "claimable", len(r.ask(ledger.ClaimRequest{Owner: "me", Now: t0, Limit: 99}).Claims), 10)
}

// step2 writes a chunk without deliveries.
func (r *rig) step2(e ledger.Expansion, now time.Time) ledger.Accepted {
	r.Helper()
	got, err := r.expander().Expand(context.Background(), ledger.Expanded{Update: e.Update, Chunk: e.Chunk, Now: now})
	r.check(err)
	return got
}

// expandedByOneAfterAnother ends the handle after each chunk.
func expandedByOneAfterAnother(t *testing.T, r *rig) {
	r.accept(r.roster(update("INC-1", 1, many("mail", 10)...), 3, 1))
	for n := range 3 {
		r.check(r.Ledger.Close())
		r.Ledger = r.Again(t)
		r.unwritten("INC-1-key-1", 7-3*n)
		r.step(r.expansions("")[0], after(n))
	}
	same(t, "expansions", len(r.expansions("")), 0)
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), 10)
}

// expandedBySeveral has everybody write whatever is next: each chunk is written once.
func expandedBySeveral(t *testing.T, r *rig) {
	const n, size = 60, 5
	r.accept(r.roster(update("INC-1", 1, many("mail", n)...), size, 0))
	added := make([]int, 6)
	r.together(len(added), func(i int, l ledger.Ledger) {
		for {
			all, err := l.(ledger.Expander).Expansions(context.Background(), "INC-1")
			if err != nil {
				t.Error(err)
			}
			if len(all) == 0 || err != nil {
				return
			}
			got, err := step(l, all[0], after(1))
			if err != nil {
				t.Error(err)
				return
			}
			added[i] += got.Added
		}
	})
	sum := 0
	for _, a := range added {
		sum += a
	}
	same(t, "added by all", sum, n)
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), n)
	r.unwritten("INC-1-key-1", 0)
}

// expandedMany has some write 10,000 recipients while others deliver to them.
func expandedMany(t *testing.T, r *rig) {
	const n = 10_000
	r.accept(r.roster(update("INC-1", 1, many("mail", n)...), 500, 1))
	seen := map[string]int{}
	for {
		all := r.expansions("")
		if len(all) > 0 {
			r.step(all[0], after(1))
		}
		claims := r.ask(ledger.ClaimRequest{Owner: "me", Now: after(2), Limit: 700}).Claims
		done := make([]ledger.Settlement, len(claims))
		for i, c := range claims {
			seen[c.Key]++
			done[i] = ends(c, ledger.Delivered, after(2))
		}
		r.settle(done...)
		if len(all)+len(claims) == 0 {
			break
		}
	}
	same(t, "claimed", len(seen), n)
	for key, times := range seen {
		if times != 1 {
			t.Errorf("%s was claimed %d times", key, times)
		}
	}
	tally, err := r.Tally(context.Background(), ledger.DeliveryQuery{})
	r.check(err)
	same(t, "tally", tally, []ledger.Tally{{Customer: "abc", Channel: "mail", Outcome: ledger.Delivered, Count: n, Oldest: t0}})
}

// expandMapsRenderings uses the second of four renderings first; the third is equal
// to it, the fourth nobody's until the last chunk.
func expandMapsRenderings(t *testing.T, r *rig) {
	a := update("INC-1", 1, many("mail", 8)...)
	text := func(s string) channels.Message { return channels.Message{Format: channels.FormatText, Text: s} }
	a.Renderings = []channels.Message{text("zero"), text("one"), text("one"), text("three")}
	use := []int{1, 2, 0, 2, 1, 3, 0, 3}
	for i := range a.Deliveries {
		a.Deliveries[i].Rendering = use[i]
	}
	r.accept(r.roster(a, 2, 1))
	r.expand("", after(1))
	for i, d := range r.deliveries(ledger.DeliveryQuery{}) {
		m, err := r.Rendering(context.Background(), d.Rendering)
		r.check(err)
		same(t, "rendering of "+d.Key, m.Text, a.Renderings[use[i]].Text)
	}
}
