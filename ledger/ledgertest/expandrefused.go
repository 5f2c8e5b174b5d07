package ledgertest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func expandRefused(t *testing.T, r *rig) {
	spoil := map[string]func(a *ledger.Acceptance){
		"chunk behind the last": func(a *ledger.Acceptance) { a.Rest.Chunk = a.Rest.Chunks },
		"chunk before 0":        func(a *ledger.Acceptance) { a.Rest.Chunk = -1 },
		"nobody":                func(a *ledger.Acceptance) { a.Rest.Count = 0 },
		"no name":               func(a *ledger.Acceptance) { a.Rest.Roster = "" },
		"a name of U+0000":      func(a *ledger.Acceptance) { a.Rest.Roster = "a\x00" },
		"more chunks":           func(a *ledger.Acceptance) { a.Rest.Chunks = 99 },
	}
	for name, f := range spoil {
		a := r.roster(update("INC-1", 1, many("mail", 4)...), 2, 1)
		f(&a)
		if _, err := r.Accept(context.Background(), a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	a := r.roster(update("INC-1", 1, many("mail", 4)...), 2, 1)
	a.Rest.Roster = "another"
	if _, err := r.Accept(context.Background(), a); !errors.Is(err, ledger.ErrNoRoster) {
		t.Errorf("an unknown roster: %v", err)
	}
	nothingThere(t, r)

	a = r.roster(update("INC-1", 1, many("mail", 4)...), 2, 1)
	r.accept(a)
	for name, p := range map[string]ledger.Planned{
		"no such rendering": {Key: "k", Channel: "mail", Rendering: 1},
		"no key":            {Channel: "mail"},
		"not UTF-8":         {Key: "k", Channel: "mail", To: channels.Recipient{Address: "\xff"}},
		"a key in use":      {Key: a.Deliveries[0].Key, Channel: "mail", To: channels.Recipient{Address: "new"}},
	} {
		good := ledger.Planned{Key: "good", Channel: "mail", To: channels.Recipient{Address: "good"}}
		e := ledger.Expanded{Update: a.Update.Key, Chunk: 1, Deliveries: []ledger.Planned{good, p}, Count: 2, Now: t0}
		if _, err := r.expander().Expand(context.Background(), e); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	r.unwritten(a.Update.Key, 2)
	same(t, "deliveries", len(r.deliveries(ledger.DeliveryQuery{})), 2)
}

func expandNotThere(t *testing.T, r *rig) {
	_, err := r.expander().Expand(context.Background(), ledger.Expanded{Update: "nothing", Now: t0})
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a chunk of an unknown update: %v", err)
	}
	r.accept(update("INC-1", 1, "mail/a"))
	got := r.step2(ledger.Expansion{Update: "INC-1-key-1"}, t0)
	same(t, "a chunk of an update that is whole", got, ledger.Accepted{Update: update("INC-1", 1).Update})
}

func expandContext(t *testing.T, r *rig) {
	r.accept(r.roster(update("INC-1", 1, many("mail", 4)...), 2, 1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	x := r.expander()
	_, one := x.Expand(ctx, ledger.Expanded{Update: "INC-1-key-1", Chunk: 1, Now: t0})
	_, two := x.Expansions(ctx, "")
	_, three := x.RosterChunk(ctx, "roster of INC-1-key-1", 0)
	four := x.PutRoster(ctx, "new", t0, slices.Values([][]byte{{1}}))
	for i, err := range []error{one, two, three, four} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d, after the caller has gone: %v", i, err)
		}
	}
	r.unwritten("INC-1-key-1", 2)
}
