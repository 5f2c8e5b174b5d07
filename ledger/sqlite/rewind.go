package sqlite

import (
	"context"
	"database/sql"

	"sitrep/ledger"
)

var _ ledger.Rewinder = (*Ledger)(nil)

// Parameters of all: now, skew, most, lease.
const (
	// ahead finds anything to bring forward, or what may have to be.
	ahead = `SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_pending WHERE outcome = '' AND due > ?1 + ?2)
		OR EXISTS (SELECT 1 FROM packs WHERE accepted > ?1 + ?2 OR since > ?1 + ?2 OR until > ?1 + ?3)
		OR EXISTS (SELECT 1 FROM leases WHERE since > ?1 + ?2 OR until > ?1 + ?3)
		OR EXISTS (SELECT 1 FROM pauses WHERE since > ?1 + ?2 OR until > ?1 + ?3) WHERE ?4 >= 0`

	rewindPauses = `UPDATE pauses SET until = ?1 + min(until - since, ?3), since = ?1
		WHERE (since > ?1 + ?2 OR until > ?1 + ?3) AND ?4 >= 0`

	rewindLeases = `UPDATE leases SET until = ?1 + ?4, since = min(since, ?1) WHERE since > ?1 + ?2 OR until > ?1 + ?3`

	rewindRetries = `UPDATE deliveries INDEXED BY deliveries_pending
		SET due = ?1 + max(0, min(due - (SELECT a.ended FROM attempts a WHERE a.delivery = id AND a.number = attempts), ?3))
		WHERE outcome = '' AND due > ?1 + ?2 AND attempts > 0 AND ?4 >= 0
		AND EXISTS (SELECT 1 FROM attempts a WHERE a.delivery = id AND a.number = attempts AND a.ended > ?1 + ?2 AND a.ended <= due)`

	rewindDue = `UPDATE deliveries INDEXED BY deliveries_pending SET due = ?1 WHERE outcome = '' AND ?4 >= 0
		AND (due > ?1 + ?3 OR (due > ?1 + ?2 AND accepted > ?1 + ?2 AND attempts = 0))`
)

// Rewind implements [ledger.Rewinder]. It writes only where there is reason to.
func (l *Ledger) Rewind(ctx context.Context, r ledger.Rewind) (int, error) {
	args := []any{micros(r.Now), r.Skew.Microseconds(), r.Most.Microseconds(), r.Lease.Microseconds()}
	any, n := false, 0
	err := l.query(ctx, ahead, args, func(rows *sql.Rows) error { return rows.Scan(&any) })
	if err != nil || !any {
		return 0, err
	}
	err = l.write(ctx, func(t *tx) error {
		if err := t.unpackWhere(`true`); err != nil {
			return err
		}
		for _, q := range []string{rewindPauses, rewindLeases, rewindRetries, rewindDue} {
			changed, err := t.changed(q, args...)
			if err != nil {
				return err
			}
			n += int(changed)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
