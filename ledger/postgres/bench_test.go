package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"sitrep/internal/pgtest"
	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
)

func BenchmarkAccept(b *testing.B) {
	ledgertest.BenchmarkAccept(b, ledgertest.Engine{Open: fresh}, newBare(b))
}

func BenchmarkWork(b *testing.B) {
	ledgertest.BenchmarkWork(b, ledgertest.Engine{Open: fresh}, newBare(b))
}

func BenchmarkSizes(b *testing.B) {
	ledgertest.BenchmarkSizes(b, ledgertest.Engine{Open: fresh})
}

// bare is the yardstick: one table with the columns a delivery is accepted with, the
// two indexes without which there is no queue (the key, and what is to be done), the
// same driver and fsync, prepared statements. Rows come in by COPY, the fastest way
// there is, and are worked in batches by one statement each.
type bare struct {
	c     *pgx.Conn
	round int64
}

func newBare(b *testing.B) *bare {
	b.Helper()
	c, err := pgx.Connect(b.Context(), pgtest.Database(b))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close(context.Background()) })
	_, err = c.Exec(b.Context(), `CREATE TABLE q (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, upd bigint, incident bigint, seq bigint,
		channel text COLLATE "C", address text COLLATE "C", key text COLLATE "C", rendering bigint, accepted bigint, due bigint, expire bigint,
		outcome text, settled bigint, list text, audience text, name text, locale text, zone text, detail text,
		state bigint NOT NULL DEFAULT 0, remote text);
		CREATE UNIQUE INDEX q_key ON q (key);
		CREATE INDEX q_state ON q (id) WHERE state = 0;
		SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		b.Fatal(err)
	}
	return &bare{c: c}
}

var bareColumns = []string{
	"upd", "incident", "seq", "channel", "address", "key", "rendering", "accepted", "due", "expire",
	"outcome", "settled", "list", "audience", "name", "locale", "zone", "detail",
}

// Insert implements [ledgertest.Yardstick].
func (q *bare) Insert(b *testing.B, rows []ledger.Planned) {
	b.Helper()
	const at = int64(1795375200123456)
	q.round++
	_, err := q.c.CopyFrom(b.Context(), pgx.Identifier{"q"}, bareColumns, pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
		p := rows[i]
		return []any{
			q.round, q.round, int64(1), p.Channel, p.To.Address, p.Key, q.round, at, at, at,
			"", int64(0), p.List, p.Audience, p.To.Name, p.To.Locale, p.To.Zone, "",
		}, nil
	}))
	if err != nil {
		b.Fatal(err)
	}
}

// Work implements [ledgertest.Yardstick].
func (q *bare) Work(b *testing.B, n, batch int) {
	b.Helper()
	for done := 0; done < n; {
		ids := q.take(b, batch)
		remote := make([]string, len(ids))
		for i := range remote {
			remote[i] = "2.0.0 Ok: queued as 4Zk1xQ2Lz9z3kp"
		}
		_, err := q.c.Exec(b.Context(), `UPDATE q SET state = 2, settled = $3, outcome = 'delivered', remote = x.remote
			FROM unnest($1::bigint[], $2::text[]) AS x(id, remote) WHERE q.id = x.id`, ids, remote, int64(1795375200123456))
		if err != nil {
			b.Fatal(err)
		}
		done += len(ids)
	}
}

func (q *bare) take(b *testing.B, batch int) []int64 {
	b.Helper()
	rows, err := q.c.Query(b.Context(), `UPDATE q SET state = 1 WHERE id = ANY(ARRAY(SELECT id FROM q WHERE state = 0 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
		RETURNING id, key, address, name, rendering`, batch)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
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
