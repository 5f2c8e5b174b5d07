package sqlite

import (
	"context"
	"database/sql"
	"time"

	"sitrep/ledger"
)

// supersede ends the incident's older deliveries that were tried, failed and wait,
// where this update has one for the same recipient.
func (in *intake) supersede() error {
	return in.overtake(`SELECT o.id FROM deliveries o INDEXED BY deliveries_retrying
		WHERE o.incident = ? AND o.outcome = '' AND o.attempts > 0 AND o.seq < ?
		AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = o.id)
		AND EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = o.incident AND d.channel = o.channel
			AND d.address = o.address AND d.seq = ? AND d.outcome = '')`, in.incident, in.seq, in.seq)
}

// late ends what a duplicate acceptance has just added for recipients who have a
// newer update already.
func (in *intake) late() error {
	return in.overtake(`SELECT o.id FROM deliveries o WHERE o.id BETWEEN ? AND ? AND o.outcome = ''
		AND EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = o.incident AND d.channel = o.channel
			AND d.address = o.address AND d.seq > o.seq AND d.outcome NOT IN ('suppressed', 'cancelled'))`, in.first, in.last)
}

// overtake supersedes the deliveries that query finds.
func (in *intake) overtake(query string, args ...any) error {
	var ids []int64
	err := in.each(query, args, func(rows *sql.Rows) error {
		var id int64
		defer func() { ids = append(ids, id) }()
		return rows.Scan(&id)
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := in.end(id); err != nil {
			return err
		}
	}
	return nil
}

// end supersedes one delivery. Why its last attempt failed stays on record.
func (in *intake) end(id int64) error {
	e := ledger.Ended{Outcome: ledger.Superseded}
	var upd, accepted int64
	_, err := in.row(`UPDATE deliveries SET outcome = 'superseded', settled = ?, detail = iif(detail = '', ?, detail) WHERE id = ?
		RETURNING key, channel, upd, accepted`, []any{in.at, overtaken, id}, []any{&e.Key, &e.Channel, &upd, &accepted})
	if err != nil {
		return err
	}
	e.Accepted = instant(accepted)
	_, err = in.row(`UPDATE updates SET pending = pending - 1 WHERE n = ? RETURNING customer, severity`, []any{upd}, []any{&e.Customer, &e.Severity})
	in.got.Superseded = append(in.got.Superseded, e)
	return err
}

// Reopen implements [ledger.Intake].
func (l *Ledger) Reopen(ctx context.Context, update string, now, expire time.Time) (int, error) {
	var n int64
	err := l.write(ctx, func(t *tx) error {
		var upd, first, last int64
		found, err := t.row(`SELECT n, first, last FROM updates WHERE key = ?`, []any{update}, []any{&upd, &first, &last})
		if err != nil {
			return err
		}
		if !found {
			return ledger.ErrNotFound
		}
		n, err = t.reopen(upd, first, last, now, expire)
		return err
	})
	if err != nil {
		return 0, err
	}
	return int(n), nil
}

func (t *tx) reopen(upd, first, last int64, now, expire time.Time) (int64, error) {
	const which = ` WHERE id BETWEEN ? AND ? AND upd = ? AND outcome IN ('failed', 'bounced', 'expired', 'unknown')
		AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = deliveries.incident AND d.channel = deliveries.channel
			AND d.address = deliveries.address AND d.seq > deliveries.seq
			AND (d.outcome IN ('delivered', 'unknown') OR EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id)))`
	_, err := t.exec(`DELETE FROM suppressions WHERE (channel, address) IN (SELECT channel, address FROM deliveries`+which+`)`, first, last, upd)
	if err != nil {
		return 0, err
	}
	n, err := t.changed(`UPDATE deliveries SET outcome = '', reopened = 1, settled = 0, due = ?, expire = ?`+which,
		micros(now), micros(expire), first, last, upd)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(`UPDATE updates SET pending = pending + ? WHERE n = ?`, n, upd)
	return n, err
}
