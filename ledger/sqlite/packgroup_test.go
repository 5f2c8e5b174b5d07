package sqlite_test

import (
	"context"
	"errors"
	"testing"

	"sitrep/ledger"
)

// TestPackCommitFails has claims, settlements and acceptances of packs fail together, over
// the commit: of none anything is remembered, and each of them can be done again.
func TestPackCommitFails(t *testing.T) {
	grouped(t, func(g *group) {
		ctx := context.Background()
		g.PackFrom(2)
		p := packer{g.T, g.Ledger, g.path}
		p.accept(small("INC-1", 10))
		p.accept(small("INC-2", 5))
		claims := p.claim("me", at, 4)
		var again []ledger.Claim
		calls := func() []call {
			return []call{
				{do: func() error {
					got, err := g.Claim(ctx, ledger.ClaimRequest{Channel: "mail", Owner: "me", Now: at, Until: minute(10), Limit: 3})
					again = got.Claims
					return err
				}},
				{do: func() error { _, err := g.Settle(ctx, []ledger.Settlement{arrived(claims[1], at)}); return err }},
				g.accepts(small("INC-3", 5)),
				{do: func() error { _, err := g.Cancel(ctx, "INC-2", at); return err }},
			}
		}
		for i, err := range g.lineUp(append(calls(), g.works(ctx, failCommit))...) {
			if err == nil {
				g.Errorf("call %d did not fail", i)
			}
		}
		p.must(p.RemembersPacks(ctx))
		p.inPacks(2)
		p.must(errors.Join(g.lineUp(calls()...)...))
		p.must(p.RemembersPacks(ctx))
		p.inPacks(2) // one is new, and one is in rows
		if len(again) != 3 || again[0].Key != "INC-1 4" {
			g.Errorf("claimed are %+v", again)
		}
		if n := p.deliver(append(claims, again...), at); n != 6 {
			g.Errorf("%d are settled, want 6", n)
		}
	})
}
