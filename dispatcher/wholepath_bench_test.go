package dispatcher_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"sitrep/dispatcher"
)

// BenchmarkWholePath is an update of 10,000 recipients from its bytes to the last
// settled delivery on a channel that does nothing, beside a bare table that is filled
// and worked in batches by the same driver with the same durability. The whole path
// is to reach half of it. The yardstick stands before and after each of ours.
func BenchmarkWholePath(b *testing.B) {
	const n = 10_000
	d, far := daemon(b, n)
	q := newBareQueue(b)
	send(b, d, far, "warm", n)
	q.fill(b, n)
	q.work(b)
	var ours, bare time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		before := q.round(b, n)
		ours += send(b, d, far, fmt.Sprint(rounds), n).all
		bare += (before + q.round(b, n)) / 2
	}
	b.ReportMetric(float64(rounds*n)/ours.Seconds(), "deliveries/s")
	b.ReportMetric(float64(rounds*n)/bare.Seconds(), "bare-deliveries/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// bareQueue is the yardstick of the ledger's own benchmarks: one table with the columns
// a delivery is accepted with, its key, and whether it is done.
type bareQueue struct{ db *sql.DB }

const bareBatch = 512

func newBareQueue(b *testing.B) *bareQueue {
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
	return &bareQueue{db: db}
}

func (q *bareQueue) round(b *testing.B, n int) time.Duration {
	b.Helper()
	began := time.Now()
	q.fill(b, n)
	q.work(b)
	return time.Since(began)
}

// fill inserts n rows in one transaction.
func (q *bareQueue) fill(b *testing.B, n int) {
	b.Helper()
	update := fmt.Sprint(time.Now().UnixNano())
	const at = 1795375200123456
	q.transact(b, `INSERT INTO q (upd, incident, seq, channel, address, key, rendering, accepted, due, expire, outcome, settled,
		list, audience, name, locale, zone, detail) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`, n, func(i int) []any {
		address := fmt.Sprintf("user%d@abc.example", i)
		return []any{
			1, 1, 1, "mail", address, dispatcher.DeliveryKey(update, "mail", address), 1, at, at, at,
			"", 0, "contacts", "customer", "", "", "UTC", "",
		}
	})
}

// work takes and finishes what is there, batch by batch.
func (q *bareQueue) work(b *testing.B) {
	b.Helper()
	for {
		ids := q.take(b)
		if len(ids) == 0 {
			return
		}
		q.transact(b, `UPDATE q SET state = 2, settled = ?, outcome = 'delivered', remote = ? WHERE id = ?`, len(ids), func(i int) []any {
			return []any{1795375200123456, "2.0.0 Ok: queued as 4Zk1xQ2Lz9z3kp", ids[i]}
		})
	}
}

func (q *bareQueue) take(b *testing.B) (ids []int64) {
	b.Helper()
	rows, err := q.db.Query(`UPDATE q SET state = 1 WHERE id IN (SELECT id FROM q WHERE state = 0 ORDER BY id LIMIT ?)
		RETURNING id, key, address`, bareBatch)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var key, address string
		if err := rows.Scan(&id, &key, &address); err != nil {
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
func (q *bareQueue) transact(b *testing.B, query string, n int, args func(int) []any) {
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
