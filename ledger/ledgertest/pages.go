package ledgertest

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"sitrep/ledger"
)

func pageTests() []test {
	return []test{
		{"TokenIsKept", tokenIsKept},
		{"Entries", pageEntries},
		{"SameKeyReplaces", sameKeyReplaces},
	}
}

func tokenIsKept(t *testing.T, r *rig) {
	ctx := context.Background()
	p, err := r.Page(ctx, "abc")
	r.check(err)
	if p.Address != "abc" || !regexp.MustCompile(`^[a-z2-7]{26}$`).MatchString(p.Token) {
		t.Errorf("page %+v: the token is not 128 bits in base32", p)
	}
	again, err := r.Again(t).Page(ctx, "abc")
	r.check(err)
	same(t, "the same page", again, p)
	other, err := r.Page(ctx, "xyz")
	r.check(err)
	if other.Token == p.Token {
		t.Error("two pages have one token")
	}
	found, err := r.PageByToken(ctx, p.Token)
	r.check(err)
	same(t, "by token", found, p)
	for _, token := range []string{"", "nothing", "%"} {
		if _, err := r.PageByToken(ctx, token); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func entry(key, page string, at int) ledger.PageEntry {
	return ledger.PageEntry{Key: key, Page: page, At: after(at), Payload: []byte(`{"k":"` + key + `"}`)}
}

func pageEntries(t *testing.T, r *rig) {
	ctx := context.Background()
	a, b, c, d := entry("a", "p", 1), entry("b", "p", 3), entry("c", "q", 2), entry("d", "p", 2)
	for _, e := range []ledger.PageEntry{a, b, c, d} {
		r.check(r.Publish(ctx, e))
	}
	all, err := r.Entries(ctx, "p", time.Time{})
	r.check(err)
	same(t, "newest first", all, []ledger.PageEntry{b, d, a})
	some, err := r.Entries(ctx, "p", after(2))
	r.check(err)
	same(t, "since", some, []ledger.PageEntry{b, d})
	none, err := r.Entries(ctx, "nowhere", time.Time{})
	r.check(err)
	same(t, "an unknown page", len(none), 0)
}

func sameKeyReplaces(t *testing.T, r *rig) {
	ctx := context.Background()
	if _, err := r.Entry(ctx, "a"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an unknown entry: %v", err)
	}
	r.check(r.Publish(ctx, entry("a", "p", 1)))
	want := entry("a", "p", 2)
	want.Payload = []byte(`{"changed":true}`)
	r.check(r.Publish(ctx, want))
	got, err := r.Entry(ctx, "a")
	r.check(err)
	same(t, "entry", got, want)
	all, err := r.Entries(ctx, "p", time.Time{})
	r.check(err)
	same(t, "shown", all, []ledger.PageEntry{want})
}
