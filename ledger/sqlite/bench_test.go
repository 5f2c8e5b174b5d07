package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
)

func BenchmarkAccept(b *testing.B) {
	ledgertest.BenchmarkAccept(b, ledgertest.Engine{Open: temporary}, newBare(b))
}

func BenchmarkWork(b *testing.B) {
	ledgertest.BenchmarkWork(b, ledgertest.Engine{Open: temporary}, newBare(b))
}

func BenchmarkSizes(b *testing.B) {
	ledgertest.BenchmarkSizes(b, ledgertest.Engine{Open: temporary})
}

// bare is the yardstick: one table with the columns a delivery is accepted with,
// the two indexes without which there is no queue (the key, and what is to be
// done), the same driver and fsync, prepared statements, large transactions.
type bare struct {
	db    *sql.DB
	round int
}

func newBare(b *testing.B) *bare {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bare.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=cache_size(-16000)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	_, err = db.Exec(`CREATE TABLE q (id INTEGER PRIMARY KEY, upd INTEGER, incident INTEGER, seq INTEGER, channel TEXT, address TEXT,
		key TEXT, rendering INTEGER, accepted INTEGER, due INTEGER, expire INTEGER, outcome TEXT, settled INTEGER,
		list TEXT, audience TEXT, name TEXT, locale TEXT, zone TEXT, detail TEXT, state INTEGER NOT NULL DEFAULT 0, remote TEXT);
		CREATE UNIQUE INDEX q_key ON q (key);
		CREATE INDEX q_state ON q (id) WHERE state = 0`)
	if err != nil {
		b.Fatal(err)
	}
	return &bare{db: db}
}

// Insert implements [ledgertest.Yardstick].
func (q *bare) Insert(b *testing.B, rows []ledger.Planned) {
	b.Helper()
	const at = 1795375200123456
	q.round++
	q.transact(b, `INSERT INTO q (upd, incident, seq, channel, address, key, rendering, accepted, due, expire, outcome, settled,
		list, audience, name, locale, zone, detail) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, len(rows), func(i int) []any {
		p := rows[i]
		return []any{
			q.round, q.round, 1, p.Channel, p.To.Address, p.Key, q.round, at, at, at,
			"", 0, p.List, p.Audience, p.To.Name, p.To.Locale, p.To.Zone, "",
		}
	})
}

// Work implements [ledgertest.Yardstick].
func (q *bare) Work(b *testing.B, n, batch int) {
	b.Helper()
	for done := 0; done < n; {
		ids := q.take(b, batch)
		q.transact(b, `UPDATE q SET state = 2, settled = ?, outcome = 'delivered', remote = ? WHERE id = ?`, len(ids), func(i int) []any {
			return []any{1795375200123456, "2.0.0 Ok: queued as 4Zk1xQ2Lz9z3kp", ids[i]}
		})
		done += len(ids)
	}
}

func (q *bare) take(b *testing.B, batch int) []int64 {
	b.Helper()
	rows, err := q.db.Query(`UPDATE q SET state = 1 WHERE id IN (SELECT id FROM q WHERE state = 0 ORDER BY id LIMIT ?)
		RETURNING id, key, address, name, rendering`, batch)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var ids []int64
	for rows.Next() {
		var id, rendering int64
		var key, address, name string
		if err := rows.Scan(&id, &key, &address, &name, &rendering); err != nil {
			b.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return ids
}

// transact runs a statement n times in one transaction.
func (q *bare) transact(b *testing.B, query string, n int, args func(int) []any) {
	b.Helper()
	tx, err := q.db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	s, err := tx.Prepare(query)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range n {
		if _, err := s.Exec(args(i)...); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}
