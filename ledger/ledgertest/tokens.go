package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"sitrep/ledger"
)

func tokenTests() []test {
	return []test{
		{"Tokens", tokensAreKept},
		{"Revoke", tokensAreRevoked},
		{"Touch", tokensAreTouched},
		{"Drafts", draftsAreKept},
	}
}

func token(id string) ledger.Token {
	return ledger.Token{
		ID: id, Name: "ops’ \"bot\"", Role: "author", Customers: []string{"abc", "x,y"}, Hash: []byte{0, 1, 255},
		Created: t0, Expires: after(60),
	}
}

func tokensAreKept(t *testing.T, r *rig) {
	tokens := addOn[ledger.Tokens](r)
	ctx := context.Background()
	r.check(tokens.AddToken(ctx, token("b")))
	r.check(tokens.AddToken(ctx, token("a")))
	if err := tokens.AddToken(ctx, token("a")); err == nil {
		t.Error("two tokens have one ID")
	}
	got, err := tokens.Token(ctx, "a")
	r.check(err)
	same(t, "token", got, token("a"))
	all, err := tokens.Tokens(ctx)
	r.check(err)
	same(t, "tokens", all, []ledger.Token{token("b"), token("a")})
	for _, id := range []string{"", "c", "A", "a' OR 1=1 --", "\xff"} {
		if _, err := tokens.Token(ctx, id); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("token %q: %v", id, err)
		}
	}
	other, err := addOn[ledger.Tokens](&rig{T: t, Store: Store{Ledger: r.Again(t)}}).Tokens(ctx)
	r.check(err)
	same(t, "seen by another process", len(other), 2)
}

func tokensAreRevoked(t *testing.T, r *rig) {
	tokens := addOn[ledger.Tokens](r)
	ctx := context.Background()
	r.check(tokens.AddToken(ctx, token("a")))
	r.check(tokens.RevokeToken(ctx, "a", after(1)))
	r.check(tokens.RevokeToken(ctx, "a", after(2)))
	got, err := tokens.Token(ctx, "a")
	r.check(err)
	same(t, "revoked", got.Revoked, after(1))
	if err := tokens.RevokeToken(ctx, "b", t0); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("revoking an unknown token: %v", err)
	}
}

func tokensAreTouched(t *testing.T, r *rig) {
	tokens := addOn[ledger.Tokens](r)
	ctx := context.Background()
	r.check(tokens.AddToken(ctx, token("a")))
	for _, at := range []time.Time{after(2), after(1)} {
		r.check(tokens.TouchToken(ctx, "a", at))
	}
	r.check(tokens.TouchToken(ctx, "nobody", t0))
	got, err := tokens.Token(ctx, "a")
	r.check(err)
	same(t, "used", got.Used, after(2))
}

func draftsAreKept(t *testing.T, r *rig) {
	drafts := addOn[ledger.Drafts](r)
	ctx := context.Background()
	draft := func(id, customer string, minutes int) ledger.Draft {
		return ledger.Draft{
			ID: id, Input: "alerts", Customer: customer, Incident: "INC-1", Key: "k", Next: "1h", Only: []string{"internal"},
			Source: "# A\n", Why: "no summary", Received: after(minutes),
		}
	}
	r.check(drafts.PutDraft(ctx, draft("a", "abc", 1)))
	r.check(drafts.PutDraft(ctx, draft("b", "xyz", 2)))
	newer := draft("a", "abc", 3)
	newer.Source, newer.Only = "# B\n", nil
	r.check(drafts.PutDraft(ctx, newer))
	got, err := drafts.Draft(ctx, "a")
	r.check(err)
	same(t, "draft", got, newer)
	all, err := drafts.Drafts(ctx, "")
	r.check(err)
	same(t, "drafts", all, []ledger.Draft{newer, draft("b", "xyz", 2)})
	all, err = drafts.Drafts(ctx, "xyz")
	r.check(err)
	same(t, "drafts of a customer", all, []ledger.Draft{draft("b", "xyz", 2)})
	for _, want := range []bool{true, false} {
		there, err := drafts.DropDraft(ctx, "a")
		r.check(err)
		same(t, "dropped", there, want)
	}
	if _, err := drafts.Draft(ctx, "a"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a draft that was dropped: %v", err)
	}
}
