package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sitrep/internal/pgtest"
	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
	"sitrep/ledger/postgres"
)

func readOnly(t *testing.T, address string) *postgres.Ledger {
	t.Helper()
	l, err := postgres.OpenReadOnly(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestReadOnlyReads(t *testing.T) {
	address := pgtest.Database(t)
	l := open(t, address)
	ledgertest.Furnish(t, ledgertest.Store{Ledger: l})
	ro := readOnly(t, address)
	ledgertest.Same(t, l, ro)
	if _, err := l.Accept(t.Context(), small("INC-9")); err != nil {
		t.Fatal(err)
	}
	ledgertest.Same(t, l, ro)
	if p, err := ro.Page(t.Context(), "abc"); err != nil || p.Token == "" {
		t.Errorf("a page that is there: %v", err)
	}
}

func TestReadOnlyRefusesToWrite(t *testing.T) {
	address := pgtest.Database(t)
	ledgertest.Furnish(t, ledgertest.Store{Ledger: open(t, address)})
	l := readOnly(t, address)
	ctx := t.Context()
	second := func(_ any, err error) error { return err }
	for name, write := range map[string]func() error{
		"Accept":      func() error { return second(l.Accept(ctx, small("INC-9"))) },
		"Reopen":      func() error { return second(l.Reopen(ctx, "INC-1-key-1", at, at)) },
		"Claim":       func() error { return second(l.Claim(ctx, ledger.ClaimRequest{Channel: "mail", Now: at, Limit: 1})) },
		"Settle":      func() error { return second(l.Settle(ctx, []ledger.Settlement{{ID: 1, Outcome: ledger.Delivered}})) },
		"Renew":       func() error { return l.Renew(ctx, "me", at) },
		"Pause":       func() error { return l.Pause(ctx, ledger.Pause{Channel: "mail", Until: at}) },
		"Suppress":    func() error { return l.Suppress(ctx, ledger.Suppression{Channel: "mail", Address: "x"}) },
		"Lift":        func() error { return second(l.Lift(ctx, "mail", "z")) },
		"Publish":     func() error { return l.Publish(ctx, ledger.PageEntry{Key: "k", Page: "p"}) },
		"Page":        func() error { return second(l.Page(ctx, "one that is not there")) },
		"Cancel":      func() error { return second(l.Cancel(ctx, "INC-2-key-1", at)) },
		"Forget":      func() error { return second(l.Forget(ctx, at)) },
		"Prune":       func() error { return second(l.Prune(ctx, at.AddDate(1, 0, 0))) },
		"PutRoster":   func() error { return l.PutRoster(ctx, "r", at, slices.Values([][]byte{{1}})) },
		"Expand":      func() error { return second(l.Expand(ctx, ledger.Expanded{Update: "INC-1-key-1"})) },
		"Import":      func() error { return l.Import(ctx, l.Export(ctx, at.AddDate(1, 0, 0))) },
		"AddToken":    func() error { return l.AddToken(ctx, ledger.Token{ID: "x"}) },
		"RevokeToken": func() error { return l.RevokeToken(ctx, "k1", at) },
		"TouchToken":  func() error { return l.TouchToken(ctx, "k1", at) },
		"PutDraft":    func() error { return l.PutDraft(ctx, ledger.Draft{ID: "x"}) },
		"DropDraft":   func() error { return second(l.DropDraft(ctx, "d1")) },
		"Hold":        func() error { _, _, err := l.Hold(ctx, "remind"); return err },
		"Bounce": func() error {
			_, _, err := l.Bounce(ctx, ledger.Bounce{Key: "INC-1-1-mail/a", At: at, Delayed: true})
			return err
		},
	} {
		err := write()
		if !errors.Is(err, ledger.ErrReadOnly) || !strings.Contains(err.Error(), l.Name()) || !strings.Contains(err.Error(), "nothing was recorded") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadOnlySaysWhy(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	says := func(is error, want ...string) {
		t.Helper()
		l, err := postgres.OpenReadOnly(t.Context(), address)
		if err == nil {
			_ = l.Close()
			t.Errorf("%v: it was opened", want)
			return
		}
		if is != nil && !errors.Is(err, is) {
			t.Errorf("%v is not %v", err, is)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q is not in: %v", w, err)
			}
		}
	}
	says(ledger.ErrNone, "there is no ledger", "sitrep ledger migrate")
	name := open(t, address).Name()
	if n := s.SQL(t, name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename = 'deliveries'"); n != "1" {
		t.Errorf("tables: %s", n)
	}
	s.SQL(t, name, "INSERT INTO sitrep_schema (version_id, is_applied) VALUES (9999, true)")
	says(nil, "newer version", "schema 9999")
	s.SQL(t, name, "DELETE FROM sitrep_schema WHERE version_id > 100")
	says(ledger.ErrOlder, "older version", "schema 100", "sitrep ledger migrate")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.OpenReadOnly(ctx, address); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller has gone: %v", err)
	}
}

// TestReadsFromAReadOnlyServer: what a standby is, as far as a reader can see.
func TestReadsFromAReadOnlyServer(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	l := open(t, address)
	ledgertest.Furnish(t, ledgertest.Store{Ledger: l})
	before := readOnly(t, address)
	s.SQL(t, "postgres", "ALTER DATABASE "+l.Name()+" SET default_transaction_read_only = on")
	ledgertest.Same(t, before, readOnly(t, address))
}

// TestServerBecomesReadOnlyAndBack: writing says why it fails, and works again after.
func TestServerBecomesReadOnlyAndBack(t *testing.T) {
	s := pgtest.Shared(t)
	l := open(t, pgtest.Database(t))
	turn := func(to string) {
		s.SQL(t, "postgres", "ALTER DATABASE "+l.Name()+" SET default_transaction_read_only = "+to)
		s.SQL(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+l.Name()+"'")
	}
	if _, err := l.Accept(t.Context(), small("INC-1")); err != nil {
		t.Fatal(err)
	}
	turn("on")
	var err error
	for range 12 { // the first calls find the connections that were ended
		if _, err = l.Accept(t.Context(), small("INC-2")); err != nil && strings.Contains(err.Error(), "can only be read") {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "can only be read") {
		t.Errorf("accepted by a server that only reads: %v", err)
	}
	if all, err := l.Incidents(t.Context(), ledger.IncidentQuery{}); err != nil || len(all) != 1 {
		t.Errorf("it reads %+v: %v", all, err)
	}
	turn("off")
	for range 12 {
		if _, err = l.Accept(t.Context(), small("INC-2")); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("with the server writable again: %v", err)
	}
}
