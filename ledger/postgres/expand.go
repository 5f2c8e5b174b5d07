package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

var _ ledger.Expander = (*Ledger)(nil)

// PutRoster implements [ledger.Expander].
func (l *Ledger) PutRoster(ctx context.Context, digest string, now time.Time, chunks iter.Seq[[]byte]) error {
	return l.once(ctx, func(t *tx) error {
		var fresh bool
		_, err := t.row(`INSERT INTO rosters AS r (digest, used) VALUES ($1, $2)
			ON CONFLICT (digest) DO UPDATE SET used = greatest(r.used, excluded.used) RETURNING xmax = 0`,
			[]any{digest, micros(now)}, []any{&fresh})
		if err != nil || !fresh {
			return err
		}
		return t.putChunks(digest, chunks)
	})
}

// putAtOnce is how many bytes of chunks are sent without waiting for an answer.
const putAtOnce = 256 << 10

func (t *tx) putChunks(digest string, chunks iter.Seq[[]byte]) error {
	var b pgx.Batch
	n, size := 0, 0
	for c := range chunks {
		b.Queue(`INSERT INTO roster_chunks (digest, n, payload) VALUES ($1,$2,$3)`, digest, n, append([]byte{}, c...))
		n, size = n+1, size+len(c)
		if size >= putAtOnce || t.ctx.Err() != nil {
			if err := t.together(&b); err != nil {
				return err
			}
			b, size = pgx.Batch{}, 0
		}
	}
	return t.together(&b)
}

// RosterChunk implements [ledger.Expander].
func (l *Ledger) RosterChunk(ctx context.Context, digest string, n int) ([]byte, error) {
	var b []byte
	err := l.one(ctx, `SELECT payload FROM roster_chunks WHERE digest = $1 AND n = $2`, []any{digest, n}, []any{&b})
	return b, err
}

// Expansions implements [ledger.Expander].
func (l *Ledger) Expansions(ctx context.Context, incident string) ([]ledger.Expansion, error) {
	var all []ledger.Expansion
	err := l.query(ctx, `SELECT x.roster, x.chunk, x.chunks, x.remaining, x.plan, u.key, i.id, u.customer, u.severity, u.seq, x.accepted, x.cancelled
		FROM expansions x JOIN updates u ON u.n = x.upd JOIN incidents i ON i.n = u.incident
		WHERE $1 IN ('', i.id) AND NOT EXISTS (SELECT 1 FROM unfinished b WHERE b.incident = u.incident AND b.seq < u.seq AND b.unwritten)
		ORDER BY u.n`, []any{incident}, func(rows pgx.Rows) error {
		var e ledger.Expansion
		var accepted int64
		err := rows.Scan(&e.Roster, &e.Chunk, &e.Chunks, &e.Count, &e.Plan, &e.Update, &e.Incident, &e.Customer, &e.Severity, &e.Seq, &accepted, &e.Cancelled)
		e.Accepted = instant(accepted)
		all = append(all, e)
		return err
	})
	return all, err
}

// leave records what of an acceptance is to be written afterwards, unless that is on
// record from an earlier acceptance. Whoever works any channel may write it.
func (in *intake) leave() error {
	r := in.a.Rest
	if r == nil || in.got.Update.Unwritten > 0 {
		return nil
	}
	for i := range in.renderings {
		if err := in.rendering(i); err != nil {
			return err
		}
	}
	// The chunks are not dropped once the expansion refers to them.
	n, err := in.changed(`INSERT INTO expansions (upd, roster, chunk, chunks, remaining, plan, renderings, late, accepted)
		SELECT $1, c.digest, $4, $3 + 1, $5, $6, $7, $8, $9 FROM roster_chunks c WHERE c.digest = $2 AND c.n = $3`,
		in.upd, r.Roster, r.Chunks-1, r.Chunk, r.Count, append([]byte{}, r.Plan...), in.renderings, in.late, in.at)
	if e := failure(err); e != nil && e.Code == noSuchRow {
		n, err = 0, nil
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: of roster %q there are no %d chunks", ledger.ErrNoRoster, r.Roster, r.Chunks)
	}
	if err != nil {
		return err
	}
	in.got.Update.Unwritten = r.Count
	in.last.Queue(`INSERT INTO unfinished AS f (upd, incident, seq, pending, unwritten) VALUES ($1,$2,$3,1,true)
		ON CONFLICT (upd) DO UPDATE SET pending = f.pending + 1, unwritten = true`, in.upd, in.incident, in.seq)
	in.notify("")
	return nil
}

// Expand implements [ledger.Expander].
func (l *Ledger) Expand(ctx context.Context, e ledger.Expanded) (ledger.Accepted, error) {
	if !fit(e.Update) {
		return ledger.Accepted{}, ledger.ErrNotFound
	}
	var got ledger.Accepted
	err := l.write(ctx, func(t *tx) error {
		got = ledger.Accepted{}
		a := ledger.Acceptance{Update: ledger.Update{Key: e.Update}, Deliveries: e.Deliveries}
		in := intake{tx: t, a: &a, now: micros(e.Now), got: &got}
		return in.expand(e)
	})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return got, nil
}

func (in *intake) expand(e ledger.Expanded) error {
	found, err := in.known()
	if err == nil && !found {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return err
	}
	in.got.Duplicate = false
	if err := in.hold(); err != nil {
		return err
	}
	chunk, chunks, err := in.unwritten()
	if err != nil || chunk != e.Chunk {
		return err
	}
	if err := e.Check(len(in.renderings)); err != nil {
		return err
	}
	if err := in.add(); err != nil {
		return err
	}
	if chunk+1 < chunks {
		return in.next(e.Count)
	}
	return in.whole()
}

// unwritten reads how far the update was written. Of one that is whole both are -1.
func (in *intake) unwritten() (chunk, chunks int, err error) {
	found, err := in.row(`SELECT chunk, chunks, renderings, late, cancelled, accepted FROM expansions WHERE upd = $1 FOR UPDATE`, []any{in.upd},
		[]any{&chunk, &chunks, &in.renderings, &in.late, &in.cancelled, &in.at})
	if !found || err != nil {
		return -1, -1, err
	}
	return chunk, chunks, nil
}

// next goes on to the next chunk.
func (in *intake) next(count int) error {
	_, err := in.row(`UPDATE expansions SET chunk = chunk + 1, remaining = greatest(remaining - $2, 0) WHERE upd = $1 RETURNING remaining`,
		[]any{in.upd, count}, []any{&in.got.Update.Unwritten})
	return err
}

// whole ends the expansion. Later updates of the incident, which have waited for it,
// may go on now.
func (in *intake) whole() error {
	in.got.Update.Unwritten = 0
	if err := in.exec(`DELETE FROM expansions WHERE upd = $1`, in.upd); err != nil {
		return err
	}
	in.feed.update(in.upd, in.now)
	in.last.Queue(`UPDATE unfinished SET pending = pending - 1, unwritten = false WHERE upd = $1`, in.upd)
	in.last.Queue(`DELETE FROM unfinished WHERE upd = $1 AND pending = 0`, in.upd)
	in.notify("")
	return nil
}
