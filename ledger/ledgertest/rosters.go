package ledgertest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"sitrep/ledger"
)

func (r *rig) chunk(digest string, n int) []byte {
	r.Helper()
	b, err := r.expander().RosterChunk(context.Background(), digest, n)
	r.check(err)
	return b
}

func (r *rig) noChunk(digest string, n int) {
	r.Helper()
	if _, err := r.expander().RosterChunk(context.Background(), digest, n); !errors.Is(err, ledger.ErrNotFound) {
		r.Errorf("chunk %d of %q: %v, want ErrNotFound", n, digest, err)
	}
}

func rostersAreKept(t *testing.T, r *rig) {
	x := r.expander()
	all := [][]byte{[]byte("a"), {}, {0, 0xff, '\'', 0xc3, '"', '\\'}, bytes.Repeat([]byte("€"), 200_000), []byte("a")}
	r.check(x.PutRoster(context.Background(), `sha256:"';--`, t0, slices.Values(all)))
	r.check(x.PutRoster(context.Background(), "empty", t0, slices.Values([][]byte(nil))))
	for i, want := range all {
		if got := r.chunk(`sha256:"';--`, i); !bytes.Equal(got, want) {
			t.Errorf("chunk %d is %d bytes, want %d", i, len(got), len(want))
		}
	}
	r.noChunk(`sha256:"';--`, len(all))
	r.noChunk(`sha256:"';--`, -1)
	r.noChunk("empty", 0)
	r.noChunk("nothing", 0)
	r.check(x.PutRoster(context.Background(), `sha256:"';--`, after(1), none(t)))
	r.check(x.PutRoster(context.Background(), "empty", after(1), none(t)))

	plan := []byte{0, 0xff, 0xc3, '"'}
	a := update("INC-1", 1)
	a.Rest = &ledger.Rest{Roster: `sha256:"';--`, Chunk: 1, Chunks: 5, Count: 7, Plan: plan}
	r.accept(a)
	if got := r.expansions("")[0]; !bytes.Equal(got.Plan, plan) || got.Roster != `sha256:"';--` || got.Count != 7 {
		t.Errorf("read back: %+v", got)
	}
}

// rosterWhole lets the caller go, and another one come, while chunks are being put.
func rosterWhole(t *testing.T, r *rig) {
	ctx, cancel := context.WithCancel(context.Background())
	err := r.expander().PutRoster(ctx, "half", t0, func(yield func([]byte) bool) {
		if yield([]byte("0")) {
			cancel()
			_ = yield([]byte("1")) && yield([]byte("2"))
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the caller has gone: %v", err)
	}
	r.noChunk("half", 0)
	all := [][]byte{[]byte("0"), []byte("1"), []byte("2")}
	r.together(6, func(_ int, l ledger.Ledger) {
		if err := l.(ledger.Expander).PutRoster(context.Background(), "half", t0, slices.Values(all)); err != nil {
			t.Error(err)
		}
	})
	for i, want := range all {
		same(t, "chunk", string(r.chunk("half", i)), string(want))
	}
	r.noChunk("half", 3)
}

// rostersArePruned keeps those that were used of late, and those still needed.
func rostersArePruned(t *testing.T, r *rig) {
	x := r.expander()
	one := slices.Values([][]byte{[]byte("0"), []byte("1")})
	for _, digest := range []string{"old", "touched", "never back"} {
		r.check(x.PutRoster(context.Background(), digest, t0, one))
	}
	r.check(x.PutRoster(context.Background(), "touched", after(10), none(t)))
	r.check(x.PutRoster(context.Background(), "never back", after(10), none(t)))
	r.check(x.PutRoster(context.Background(), "never back", after(1), none(t)))
	a := update("INC-1", 1, "mail/a", "mail/b")
	a.Incident.Status, a.Update.Status = "resolved", "resolved"
	r.accept(r.roster(a, 1, 1))
	r.applied(ends(r.only("me", t0), ledger.Delivered, t0))

	same(t, "pruned", r.prune(after(5)), ledger.Pruned{})
	r.noChunk("old", 0)
	for _, digest := range []string{"touched", "never back", "roster of INC-1-key-1"} {
		r.chunk(digest, 1)
	}
	same(t, "pruned while it is unwritten", r.prune(after(99)), ledger.Pruned{})
	r.noChunk("touched", 1)
	r.expand("", after(1))
	r.applied(ends(r.only("me", after(2)), ledger.Delivered, after(2)))
	same(t, "pruned in the end", r.prune(after(99)), ledger.Pruned{Incidents: 1, Updates: 1, Renderings: 1, Deliveries: 2})
	r.noChunk("roster of INC-1-key-1", 0)
	nothingThere(t, r)
}

// none is a roster that may not be asked for.
func none(t *testing.T) iter.Seq[[]byte] {
	return func(func([]byte) bool) { t.Error("the chunks were asked for") }
}
