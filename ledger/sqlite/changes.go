package sqlite

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

var (
	_ ledger.Changes   = (*Ledger)(nil)
	_ ledger.Canceller = (*Ledger)(nil)
)

// Changes implements [ledger.Changes]. Transactions that write follow one another, so
// the rows are in the order in which they were committed.
func (l *Ledger) Changes(ctx context.Context, after string, limit int) ([]ledger.Change, error) {
	n, err := l.place(ctx, after)
	if err != nil {
		return nil, err
	}
	var all []ledger.Change
	err = l.whole(ctx, `SELECT c.n, c.at, u.key, i.id, u.customer, u.seq, coalesce(d.key, ''), coalesce(d.list, ''), coalesce(d.audience, ''),
			coalesce(d.channel, ''), coalesce(d.address, ''), coalesce(d.name, ''), coalesce(d.locale, ''), coalesce(d.zone, ''),
			c.outcome, c.attempts, c.fault
		FROM changes c CROSS JOIN updates u ON u.n = c.upd CROSS JOIN incidents i ON i.n = u.incident
		LEFT JOIN deliveries d ON d.id = c.delivery
		WHERE c.n > ? AND (c.delivery = 0 OR d.id IS NOT NULL) ORDER BY c.n LIMIT ?`, []any{n, max(limit, 0)}, func(rows *sql.Rows) error {
		c, err := scanChange(rows)
		all = append(all, c)
		return err
	})
	return all, err
}

func scanChange(rows *sql.Rows) (ledger.Change, error) {
	var c ledger.Change
	var n, at int64
	var outcome, fault string
	err := rows.Scan(&n, &at, &c.Update, &c.Incident, &c.Customer, &c.Seq, &c.Delivery, &c.List, &c.Audience,
		&c.Channel, &c.To.Address, &c.To.Name, &c.To.Locale, &c.To.Zone, &outcome, &c.Attempts, &fault)
	c.Cursor, c.At = strconv.FormatInt(n, 10), instant(at)
	c.Outcome, c.Fault = ledger.Outcome(outcome), channels.Fault(fault)
	return c, err
}

// place is the row a cursor stands for, if everything after it is still there.
func (l *Ledger) place(ctx context.Context, cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 0 {
		return 0, ledger.ErrForgotten
	}
	first, last, err := l.kept(ctx)
	if err == nil && (n < first-1 || n > last) {
		err = ledger.ErrForgotten
	}
	return n, err
}

// kept is the first and the last change there is; of none both are 0.
func (l *Ledger) kept(ctx context.Context) (first, last int64, err error) {
	err = l.whole(ctx, `SELECT coalesce((SELECT min(n) FROM changes), 0), coalesce((SELECT max(n) FROM changes), 0)`, nil,
		func(rows *sql.Rows) error { return rows.Scan(&first, &last) })
	return first, last, err
}

// Latest implements [ledger.Changes].
func (l *Ledger) Latest(ctx context.Context) (string, error) {
	_, last, err := l.kept(ctx)
	return strconv.FormatInt(last, 10), err
}

// Forget implements [ledger.Changes]. It drops the beginning of the feed up to the
// first change that is to stay, so that what is kept has no holes.
func (l *Ledger) Forget(ctx context.Context, before time.Time) (int, error) {
	total := 0
	if err := l.unpacked(ctx); err != nil {
		return 0, err
	}
	for {
		var n int64
		err := l.write(ctx, func(t *tx) error {
			var err error
			n, err = t.changed(`DELETE FROM changes WHERE n IN (SELECT n FROM changes WHERE n <
				coalesce((SELECT c.n FROM changes c WHERE c.at >= ? ORDER BY c.n LIMIT 1), (SELECT max(n) FROM changes))
				ORDER BY n LIMIT 10000)`, micros(before))
			return err
		})
		total += int(n)
		if err != nil || n < 10000 {
			return total, err
		}
	}
}

// called is why a delivery ended by Cancel.
const (
	calledBack = "a person took it back before it was sent"
	mayHave    = "a person took it back; an earlier attempt may have arrived"
)

// Cancel implements [ledger.Canceller].
func (l *Ledger) Cancel(ctx context.Context, update string, now time.Time) (ledger.Cancellation, error) {
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
	var upd, first, last int64
	var customer, severity string
	found, err := t.row(`SELECT n, first, last, customer, severity FROM updates WHERE key = ?`, []any{update},
		[]any{&upd, &first, &last, &customer, &severity})
	if err != nil {
		return err
	}
	if !found {
		return ledger.ErrNotFound
	}
	if err := t.unpackWhere(`upd = ?`, upd); err != nil {
		return err
	}
	if err := t.lapsed(upd, now); err != nil {
		return err
	}
	rest := 0
	if _, err := t.row(`SELECT 1, iif(cancelled, 0, remaining) FROM expansions WHERE upd = ?`, []any{upd}, []any{&rest, &got.Unwritten}); err != nil {
		return err
	}
	if _, err := t.exec(`UPDATE expansions SET cancelled = 1 WHERE upd = ?`, upd); err != nil {
		return err
	}
	err = t.each(`UPDATE deliveries SET settled = ?,
			outcome = iif(interrupted OR fault = 'ambiguous', 'unknown', 'cancelled'),
			detail = iif(interrupted OR fault = 'ambiguous', ?, ?)
		WHERE id BETWEEN ? AND ? AND upd = ? AND outcome = '' AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = deliveries.id)
		RETURNING id, key, channel, accepted, outcome`, []any{now, mayHave, calledBack, first, last, upd}, func(rows *sql.Rows) error {
		e := ledger.Ended{Customer: customer, Severity: severity}
		var id, accepted int64
		var outcome string
		err := rows.Scan(&id, &e.Key, &e.Channel, &accepted, &outcome)
		e.Accepted, e.Outcome = instant(accepted), ledger.Outcome(outcome)
		got.Ended = append(got.Ended, e)
		t.became(now, id)
		return err
	})
	if err != nil {
		return err
	}
	_, err = t.row(`UPDATE updates SET pending = pending - ? WHERE n = ? RETURNING pending - ?`, []any{len(got.Ended), upd, rest}, []any{&got.UnderWay})
	return err
}

// lapsed puts the attempts of leases that have ended on record, as the next claim
// would have.
func (t *tx) lapsed(upd, now int64) error {
	var all []lapse
	err := t.each(`SELECT id, attempt, since FROM leases WHERE upd = ? AND until <= ?`, []any{upd, now}, func(rows *sql.Rows) error {
		var l lapse
		err := rows.Scan(&l.id, &l.attempt, &l.since)
		all = append(all, l)
		return err
	})
	if err != nil {
		return err
	}
	ids := make([]int64, len(all))
	for i, l := range all {
		ids[i] = l.id
		if err := t.interrupted(l); err != nil {
			return err
		}
	}
	return t.release(ids)
}
