package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

var _ ledger.Rewinder = (*Ledger)(nil)

// $1 is now; of the others see Rewind. What others are at work on is passed over: it
// comes right by that.
const (
	ahead = `SELECT EXISTS (SELECT 1 FROM deliveries WHERE outcome = '' AND due > $1)
		OR EXISTS (SELECT 1 FROM leases WHERE since > $1 OR until > $2) OR EXISTS (SELECT 1 FROM pauses WHERE since > $1 OR until > $2)`

	rewindPauses = `UPDATE pauses SET until = $1::bigint + least(until - since, $4::bigint), since = $1 WHERE since > $2 OR until > $3`

	rewindLeases = `UPDATE leases SET until = $4, since = least(since, $1::bigint) WHERE id IN
		(SELECT id FROM leases WHERE since > $2 OR until > $3 FOR UPDATE SKIP LOCKED)`

	rewindRetries = `UPDATE deliveries d SET due = $1::bigint + greatest(0, least(d.due - a.ended, $3::bigint)) FROM attempts a
		WHERE a.delivery = d.id AND a.number = d.attempts AND a.ended > $2 AND a.ended <= d.due AND d.id IN
		(SELECT id FROM deliveries WHERE outcome = '' AND due > $2 AND attempts > 0 FOR UPDATE SKIP LOCKED)`

	rewindDue = `UPDATE deliveries SET due = $1 WHERE id IN (SELECT id FROM deliveries WHERE outcome = ''
		AND (due > $3 OR (due > $2 AND accepted > $2 AND attempts = 0)) FOR UPDATE SKIP LOCKED)`
)

// Rewind implements [ledger.Rewinder]. It writes only where there is reason to.
func (l *Ledger) Rewind(ctx context.Context, r ledger.Rewind) (int, error) {
	now, most := micros(r.Now), r.Most.Microseconds()
	right, possible := now+r.Skew.Microseconds(), now+most
	found := false
	err := l.query(ctx, ahead, []any{right, possible}, func(rows pgx.Rows) error { return rows.Scan(&found) })
	if err != nil || !found {
		return 0, err
	}
	var n int64
	err = l.write(ctx, func(t *tx) error {
		n = 0
		for _, q := range []struct {
			text string
			args []any
		}{
			{rewindPauses, []any{now, right, possible, most}},
			{rewindLeases, []any{now, right, possible, now + r.Lease.Microseconds()}},
			{rewindRetries, []any{now, right, most}},
			{rewindDue, []any{now, right, possible}},
		} {
			changed, err := t.changed(q.text, q.args...)
			if err != nil {
				return err
			}
			n += changed
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}
