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

// outdated ends what was just added to an update that had been whole, for recipients
// who have a newer one already.
func (in *intake) outdated() error {
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
	if len(ids) == 0 {
		return nil
	}
	return in.end(ids)
}

// end supersedes deliveries. Why their last attempts failed stays on record.
func (in *intake) end(ids []int64) error {
	of := map[int64][]int{} // by update: which of got.Superseded are its
	err := in.each(`UPDATE deliveries SET outcome = 'superseded', settled = ?, detail = iif(detail = '', ?, detail)
		WHERE id IN (SELECT value FROM json_each(?)) RETURNING id, upd, key, channel, accepted`, []any{in.now, overtaken, list(ids)}, func(rows *sql.Rows) error {
		e := ledger.Ended{Outcome: ledger.Superseded}
		var id, upd, accepted int64
		err := rows.Scan(&id, &upd, &e.Key, &e.Channel, &accepted)
		e.Accepted = instant(accepted)
		of[upd] = append(of[upd], len(in.got.Superseded))
		in.got.Superseded = append(in.got.Superseded, e)
		in.became(in.now, id)
		return err
	})
	for upd, all := range of {
		var customer, severity string
		if err == nil {
			_, err = in.row(`UPDATE updates SET pending = pending - ? WHERE n = ? RETURNING customer, severity`,
				[]any{len(all), upd}, []any{&customer, &severity})
		}
		for _, i := range all {
			in.got.Superseded[i].Customer, in.got.Superseded[i].Severity = customer, severity
		}
	}
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
	if err := t.unpackWhere(`incident = (SELECT incident FROM updates WHERE n = ?)`, upd); err != nil {
		return 0, err
	}
	const which = ` WHERE id BETWEEN ? AND ? AND upd = ? AND outcome IN ('failed', 'bounced', 'expired', 'unknown')
		AND NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.channel = deliveries.channel
			AND s.address IN (deliveries.address, lower(deliveries.address)) AND s.at > deliveries.settled)
		AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = deliveries.incident AND d.channel = deliveries.channel
			AND d.address = deliveries.address AND d.seq > deliveries.seq
			AND (d.outcome IN ('delivered', 'unknown') OR EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id)))`
	_, err := t.exec(`DELETE FROM suppressions WHERE (channel, address) IN (SELECT channel, address FROM deliveries`+which+`)`, first, last, upd)
	if err != nil {
		return 0, err
	}
	var n int64
	err = t.each(`UPDATE deliveries SET outcome = '', reopened = 1, settled = 0, due = ?, expire = ?`+which+` RETURNING id`,
		[]any{micros(now), micros(expire), first, last, upd}, func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			n++
			t.became(micros(now), id)
			return err
		})
	if err != nil {
		return 0, err
	}
	_, err = t.exec(`UPDATE updates SET pending = pending + ? WHERE n = ?`, n, upd)
	return n, err
}
