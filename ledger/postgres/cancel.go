package postgres

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

var _ ledger.Canceller = (*Ledger)(nil)

// called is why a delivery ended by Cancel.
const (
	calledBack = "a person took it back before it was sent"
	mayHave    = "a person took it back; an earlier attempt may have arrived"
)

// Cancel implements [ledger.Canceller].
func (l *Ledger) Cancel(ctx context.Context, update string, now time.Time) (ledger.Cancellation, error) {
	if !fit(update) {
		return ledger.Cancellation{}, ledger.ErrNotFound
	}
	var got ledger.Cancellation
	err := l.write(ctx, func(t *tx) error {
		got = ledger.Cancellation{}
		return t.cancel(update, micros(now), &got)
	})
	if err != nil {
		return ledger.Cancellation{}, err
	}
	return got, nil
}

func (t *tx) cancel(update string, now int64, got *ledger.Cancellation) error {
	var upd int64
	e := ledger.Ended{}
	found, err := t.row(`SELECT u.n, u.customer, u.severity FROM updates u JOIN incidents i ON i.n = u.incident WHERE u.key = $1 FOR SHARE OF i`,
		[]any{update}, []any{&upd, &e.Customer, &e.Severity})
	if err != nil {
		return err
	}
	if !found {
		return ledger.ErrNotFound
	}
	if _, err := t.row(`UPDATE expansions SET cancelled = true WHERE upd = $1 AND NOT cancelled RETURNING remaining`,
		[]any{upd}, []any{&got.Unwritten}); err != nil {
		return err
	}
	// What is being claimed at this moment is waited for; then its lease is seen.
	if _, err := t.ids(`SELECT id FROM deliveries WHERE id BETWEEN $1 AND $2 AND outcome = '' ORDER BY id FOR UPDATE`, upd<<placeBits, lastID(upd)); err != nil {
		return err
	}
	if err := t.lapsed(upd, now); err != nil {
		return err
	}
	freed, err := t.takeBack(upd, now, e, got)
	if err != nil {
		return err
	}
	if _, err := t.row(`SELECT count(*) FROM leases WHERE id BETWEEN $1 AND $2`, []any{upd << placeBits, lastID(upd)}, []any{&got.UnderWay}); err != nil {
		return err
	}
	t.finish(map[int64]int{upd: len(got.Ended)})
	t.notify(slices.Collect(maps.Keys(freed))...)
	return nil
}

// takeBack ends what is pending and not leased, and returns the channels concerned:
// newer deliveries may have waited behind.
func (t *tx) takeBack(upd, now int64, e ledger.Ended, got *ledger.Cancellation) (map[string]bool, error) {
	freed := map[string]bool{}
	return freed, t.each(`WITH gone AS (UPDATE deliveries d SET settled = $1,
			outcome = CASE WHEN interrupted OR fault = 'ambiguous' THEN 'unknown' ELSE 'cancelled' END,
			detail = CASE WHEN interrupted OR fault = 'ambiguous' THEN $2 ELSE $3 END
		WHERE id BETWEEN $4 AND $5 AND outcome = '' AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id)
		RETURNING id, key, channel, accepted, outcome)
		SELECT id, key, channel, accepted, outcome FROM gone ORDER BY id`, []any{now, mayHave, calledBack, upd << placeBits, lastID(upd)}, func(rows pgx.Rows) error {
		var id, accepted int64
		var outcome string
		err := rows.Scan(&id, &e.Key, &e.Channel, &accepted, &outcome)
		e.Accepted, e.Outcome = instant(accepted), ledger.Outcome(outcome)
		freed[e.Channel] = true
		got.Ended = append(got.Ended, e)
		t.feed.delivery(id, now)
		return err
	})
}

// lapsed puts the attempts of leases that have ended on record, as the next claim
// would have.
func (t *tx) lapsed(upd, now int64) error {
	return t.exec(`WITH gone AS (DELETE FROM leases WHERE id BETWEEN $1 AND $2 AND until <= $3 RETURNING id, attempt, since),
		noted AS (INSERT INTO attempts (delivery, number, fault, interrupted, detail, started, ended)
			SELECT id, attempt, 'ambiguous', true, $4, since, 0 FROM gone
			ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE SET fault = excluded.fault, interrupted = excluded.interrupted,
				detail = excluded.detail, started = excluded.started, ended = excluded.ended)
		UPDATE deliveries d SET interrupted = true, attempts = g.attempt FROM gone g WHERE d.id = g.id`,
		upd<<placeBits, lastID(upd), now, lost)
}
