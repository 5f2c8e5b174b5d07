package sqlite_test

import (
	"context"
	"strings"
	"testing"

	"sitrep/ledger/sqlite"
)

// rowsOfAll are the rows of a file of which all must be the same. The change feed is in
// order only for each delivery by itself, and for updates.
var rowsOfAll = []string{
	"SELECT * FROM incidents ORDER BY n", "SELECT * FROM updates ORDER BY n", "SELECT * FROM expansions ORDER BY upd",
	"SELECT * FROM deliveries ORDER BY id", "SELECT * FROM leases ORDER BY id", "SELECT * FROM attempts ORDER BY delivery, number",
	"SELECT * FROM suppressions ORDER BY channel, address", "SELECT * FROM pauses ORDER BY channel", "SELECT * FROM rosters ORDER BY digest",
	"SELECT id, upd, hex(digest) AS digest FROM renderings ORDER BY id",
	"SELECT delivery, at, upd, attempts, outcome, fault FROM changes ORDER BY delivery, n",
}

// compareFiles compares copies of the two files in which all is in rows; the files
// themselves stay as they are.
func (b *twins) compareFiles(copies ...string) {
	b.Helper()
	var rows [2][]string
	for i, s := range b.sides {
		db := raw(b.T, s.path)
		do(b.T, db, "VACUUM INTO '"+strings.ReplaceAll(copies[i], "'", "''")+"'")
		if err := db.Close(); err != nil {
			b.Error(err)
		}
		sound(b.T, copies[i])
		for _, q := range rowsOfAll {
			rows[i] = append(append(rows[i], q), dump(b.T, copies[i], q)...)
		}
		sound(b.T, copies[i])
		if n := left(b.T, copies[i]); n != 0 {
			b.Errorf("%d rows of packs are left", n)
		}
	}
	equal(b.T, "the file of packs", rows[1], rows[0])
}

// left is how many rows there are of packs.
func left(t interface {
	Helper()
	Fatal(...any)
}, path string,
) int {
	t.Helper()
	l, err := sqlite.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, table := range []string{"packs", "pack_contents", "pack_log"} {
		if err := l.Read(context.Background(), "SELECT * FROM "+table, func() { n++ }); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// sound is inspect for a file in which deliveries that came back were opened again: of
// such there is no record of the attempt that delivered them.
func sound(t testing.TB, path string) {
	t.Helper()
	db := raw(t, path)
	for _, q := range []string{
		"SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'", "SELECT count(*) FROM pragma_foreign_key_check",
		`SELECT count(*) FROM updates u WHERE pending <> (SELECT count(*) FROM deliveries d WHERE d.upd = u.n AND d.outcome = '') + (SELECT count(*) FROM expansions x WHERE x.upd = u.n)
			+ coalesce((SELECT sum(p.count - p.settled) FROM packs p WHERE p.upd = u.n), 0)`,
		"SELECT count(*) FROM deliveries WHERE upd NOT IN (SELECT n FROM updates) OR rendering NOT IN (SELECT id FROM renderings)",
		"SELECT count(*) FROM updates u WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.upd = u.n AND d.id NOT BETWEEN u.first AND u.last)",
		"SELECT count(*) FROM leases WHERE id NOT IN (SELECT id FROM deliveries WHERE outcome = '')",
		"SELECT count(*) FROM packs p WHERE NOT 0 <= settled OR NOT settled <= begun OR NOT begun <= count OR first + count NOT IN (SELECT id FROM deliveries)",
		"SELECT count(*) FROM pack_contents WHERE first NOT IN (SELECT first FROM packs)",
		"SELECT count(*) FROM packs WHERE first NOT IN (SELECT first FROM pack_contents)",
		"SELECT count(*) FROM pack_log WHERE pack NOT IN (SELECT first FROM packs)",
		"SELECT count(*) FROM packs p JOIN packs o ON p.first < o.first AND o.first <= p.first + p.count",
	} {
		var n int
		if err := db.QueryRow(q).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d (%v)", q, n, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
