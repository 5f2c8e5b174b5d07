package sqlite_test

import (
	"path/filepath"
	"testing"

	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
	"sitrep/ledger/sqlite"
)

// temporary is a store of the suite. When the test is over and the file closed, it is
// inspected.
func temporary(t testing.TB) ledgertest.Store {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if _, ok := t.(*testing.T); ok {
		t.Cleanup(func() { inspect(t, path) })
	}
	again := func(t testing.TB) ledger.Ledger { return open(t, path) }
	return ledgertest.Store{Ledger: again(t), Again: again}
}

func open(t testing.TB, path string) *sqlite.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), path)
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
	ledgertest.Run(t, ledgertest.Engine{Open: temporary, Polled: true})
}

// TestContractPacked has every two deliveries packed that may be.
func TestContractPacked(t *testing.T) {
	ledgertest.Run(t, ledgertest.Engine{Open: packing, Polled: true})
}

func packing(t testing.TB) ledgertest.Store {
	s := temporary(t)
	again := func(t testing.TB) ledger.Ledger {
		l := s.Again(t)
		l.(*sqlite.Ledger).PackFrom(2)
		return l
	}
	s.Ledger.(*sqlite.Ledger).PackFrom(2)
	return ledgertest.Store{Ledger: s.Ledger, Again: again}
}
