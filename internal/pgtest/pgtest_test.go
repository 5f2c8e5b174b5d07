package pgtest_test

import (
	"strings"
	"testing"

	"sitrep/internal/pgtest"
)

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	a, b := pgtest.Database(t), pgtest.Database(t)
	if a == b {
		t.Errorf("both are %s", a)
	}
	if tcp := pgtest.Shared(t).TCP(a, "geheim"); !strings.Contains(tcp, "sitrep:geheim@127.0.0.1") {
		t.Errorf("by TCP: %s", tcp)
	}
}

func TestWhatIsOnDiskSurvives(t *testing.T) {
	s := pgtest.Own(t)
	s.SQL(t, "postgres", "CREATE TABLE x AS SELECT 42 AS n")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	if got := s.SQL(t, "postgres", "SELECT n FROM x"); got != "42" {
		t.Errorf("read back %q", got)
	}
}
