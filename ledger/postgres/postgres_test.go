package postgres_test

import (
	"testing"

	"sitrep/internal/pgtest"
	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
	"sitrep/ledger/postgres"
)

func fresh(t testing.TB) ledgertest.Store {
	t.Helper()
	address := pgtest.Database(t)
	again := func(t testing.TB) ledger.Ledger { return open(t, address) }
	return ledgertest.Store{Ledger: again(t), Again: again}
}

func open(t testing.TB, address string) *postgres.Ledger {
	t.Helper()
	l, err := postgres.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestContract(t *testing.T) {
	ledgertest.Run(t, ledgertest.Engine{Open: fresh})
}
