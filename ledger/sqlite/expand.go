package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"sitrep/ledger"
)

var _ ledger.Expander = (*Ledger)(nil)

// PutRoster implements [ledger.Expander].
func (l *Ledger) PutRoster(ctx context.Context, digest string, now time.Time, chunks iter.Seq[[]byte]) error {
	return l.writeAlone(ctx, func(t *tx) error {
		known, err := t.changed(`UPDATE rosters SET used = max(used, ?) WHERE digest = ?`, micros(now), digest)
		if known > 0 || err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO rosters (digest, used) VALUES (?,?)`, digest, micros(now)); err != nil {
			return err
		}
		n := 0
		for c := range chunks {
			if t.alive() != nil {
				return t.alive()
			}
			if _, err := t.exec(`INSERT INTO roster_chunks (digest, n, payload) VALUES (?,?,?)`, digest, n, append([]byte{}, c...)); err != nil {
				return err
			}
			n++
		}
		return nil
	})
}

// RosterChunk implements [ledger.Expander].
func (l *Ledger) RosterChunk(ctx context.Context, digest string, n int) ([]byte, error) {
	var b []byte
	err := l.one(ctx, `SELECT payload FROM roster_chunks WHERE digest = ? AND n = ?`, []any{digest, n}, []any{&b})
	return b, err
}

// Expansions implements [ledger.Expander].
func (l *Ledger) Expansions(ctx context.Context, incident string) ([]ledger.Expansion, error) {
	var all []ledger.Expansion
	err := l.query(ctx, `SELECT x.roster, x.chunk, x.chunks, x.remaining, x.plan, u.key, i.id, u.customer, u.severity, u.seq, x.accepted, x.cancelled
		FROM expansions x CROSS JOIN updates u ON u.n = x.upd CROSS JOIN incidents i ON i.n = u.incident
		WHERE ? IN ('', i.id) AND NOT EXISTS (SELECT 1 FROM expansions y CROSS JOIN updates o ON o.n = y.upd
			WHERE o.incident = u.incident AND o.seq < u.seq)
		ORDER BY u.n`, []any{incident}, func(rows *sql.Rows) error {
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
// record from an earlier acceptance.
func (in *intake) leave() error {
	if in.a.Rest == nil || in.got.Update.Unwritten > 0 {
		return nil
	}
	r := in.a.Rest
	there, err := in.row(`SELECT 1 FROM roster_chunks WHERE digest = ? AND n = ?`, []any{r.Roster, r.Chunks - 1}, []any{new(int)})
	if err != nil {
		return err
	}
	if !there {
		return fmt.Errorf("%w: of roster %q there are no %d chunks", ledger.ErrNoRoster, r.Roster, r.Chunks)
	}
	for i := range in.renderings {
		if _, err := in.rendering(i); err != nil {
			return err
		}
	}
	in.got.Update.Unwritten = r.Count
	_, err = in.exec(`INSERT INTO expansions (upd, roster, chunk, chunks, remaining, plan, renderings, late, accepted) VALUES (?,?,?,?,?,?,?,?,?)`,
		in.upd, r.Roster, r.Chunk, r.Chunks, r.Count, append([]byte{}, r.Plan...), list(in.renderings), in.late, in.at)
	if err != nil {
		return err
	}
	_, err = in.exec(`UPDATE updates SET pending = pending + 1 WHERE n = ?`, in.upd)
	return err
}

// Expand implements [ledger.Expander].
func (l *Ledger) Expand(ctx context.Context, e ledger.Expanded) (ledger.Accepted, error) {
	var got ledger.Accepted
	err := l.writeLarge(ctx, func(t *tx) error {
		got = ledger.Accepted{}
		in := intake{tx: t, now: micros(e.Now), got: &got}
		in.a.Update.Key, in.a.Deliveries = e.Update, e.Deliveries
		return in.expand(e)
	})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return got, nil
}

func (in *intake) expand(e ledger.Expanded) error {
	if err := in.heed(); err != nil {
		return err
	}
	found, err := in.known()
	if err != nil {
		return err
	}
	if !found {
		return ledger.ErrNotFound
	}
	in.got.Duplicate = false
	chunk, chunks, err := in.unwritten()
	if err != nil || chunk != e.Chunk {
		return err
	}
	if err := e.Check(len(in.renderings)); err != nil {
		return err
	}
	if err := in.deliveries(); err != nil {
		return err
	}
	if chunk+1 < chunks {
		return in.next(e.Count)
	}
	return in.whole()
}

// unwritten reads how far the update was written. Of one that is whole both are -1.
func (in *intake) unwritten() (chunk, chunks int, err error) {
	var renderings string
	found, err := in.row(`SELECT chunk, chunks, renderings, late, cancelled, accepted FROM expansions WHERE upd = ?`, []any{in.upd},
		[]any{&chunk, &chunks, &renderings, &in.late, &in.cancelled, &in.at})
	if !found || err != nil {
		return -1, -1, err
	}
	return chunk, chunks, json.Unmarshal([]byte(renderings), &in.renderings)
}

// next goes on to the next chunk.
func (in *intake) next(count int) error {
	_, err := in.row(`UPDATE expansions SET chunk = chunk + 1, remaining = max(remaining - ?, 0) WHERE upd = ? RETURNING remaining`,
		[]any{count, in.upd}, []any{&in.got.Update.Unwritten})
	return err
}

// whole ends the expansion.
func (in *intake) whole() error {
	in.w.packs.forget(in.upd)
	in.got.Update.Unwritten = 0
	if _, err := in.exec(`DELETE FROM expansions WHERE upd = ?`, in.upd); err != nil {
		return err
	}
	if _, err := in.exec(`UPDATE updates SET pending = pending - 1 WHERE n = ?`, in.upd); err != nil {
		return err
	}
	return in.announce(in.upd, in.now)
}
