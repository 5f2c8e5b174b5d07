package postgres

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

var (
	_ ledger.Changes   = (*Ledger)(nil)
	_ ledger.Canceller = (*Ledger)(nil)
)

// settled is the condition under which the rows of a transaction may be read: none
// that began before it is still under way, so nothing will appear between them.
const settled = `c.x < pg_snapshot_xmin(pg_current_snapshot())`

// mark is a place in the feed.
type mark struct {
	x string // a transaction, in decimal
	n int64
}

func (m mark) String() string { return fmt.Sprintf("%s.%d", m.x, m.n) }

var cursorForm = regexp.MustCompile(`^(\d{1,19})\.(\d{1,18})$`)

// Changes implements [ledger.Changes]. A transaction that writes for long, in whichever
// database of the server, holds the feed back and loses nothing of it.
func (l *Ledger) Changes(ctx context.Context, after string, limit int) ([]ledger.Change, error) {
	from, err := l.mark(ctx, after)
	if err != nil {
		return nil, err
	}
	var all []ledger.Change
	err = l.query(ctx, `SELECT c.x::text, c.n, c.at, u.key, i.id, u.customer, u.seq, coalesce(d.key, ''), coalesce(d.list, ''), coalesce(d.audience, ''),
			coalesce(d.channel, ''), coalesce(d.address, ''), coalesce(d.name, ''), coalesce(d.locale, ''), coalesce(d.zone, ''),
			c.outcome, c.attempts, c.fault
		FROM changes c JOIN updates u ON u.n = c.upd JOIN incidents i ON i.n = u.incident LEFT JOIN deliveries d ON d.id = c.delivery
		WHERE (c.x, c.n) > ($1::text::xid8, $2) AND `+settled+` AND (c.delivery = 0 OR d.id IS NOT NULL)
		ORDER BY c.x, c.n LIMIT $3`, []any{from.x, from.n, max(limit, 0)}, func(rows pgx.Rows) error {
		c, err := scanChange(rows)
		all = append(all, c)
		return err
	})
	return all, err
}

func scanChange(rows pgx.Rows) (ledger.Change, error) {
	var c ledger.Change
	var m mark
	var at int64
	var outcome, fault string
	err := rows.Scan(&m.x, &m.n, &at, &c.Update, &c.Incident, &c.Customer, &c.Seq, &c.Delivery, &c.List, &c.Audience,
		&c.Channel, &c.To.Address, &c.To.Name, &c.To.Locale, &c.To.Zone, &outcome, &c.Attempts, &fault)
	c.Cursor, c.At = m.String(), instant(at)
	c.Outcome, c.Fault = ledger.Outcome(outcome), channels.Fault(fault)
	return c, err
}

// mark is the place a cursor stands for, if everything after it is still there.
func (l *Ledger) mark(ctx context.Context, cursor string) (mark, error) {
	if cursor == "" {
		return mark{x: "0"}, ctx.Err()
	}
	m := cursorForm.FindStringSubmatch(cursor)
	if m == nil {
		return mark{}, ledger.ErrForgotten
	}
	at := mark{x: m[1]}
	if _, err := fmt.Sscan(m[2], &at.n); err != nil {
		return mark{}, ledger.ErrForgotten
	}
	known := false
	err := l.one(ctx, `SELECT ($1::text::xid8, $2::bigint) >= (f.x, f.n) AND ($1::text::xid8, $2::bigint) <= coalesce(
			(SELECT (c.x, c.n) FROM changes c ORDER BY c.x DESC, c.n DESC LIMIT 1), (f.x, f.n)) FROM changes_forgotten f`,
		[]any{at.x, at.n}, []any{&known})
	if err == nil && !known {
		err = ledger.ErrForgotten
	}
	return at, err
}

// Latest implements [ledger.Changes].
func (l *Ledger) Latest(ctx context.Context) (string, error) {
	var m mark
	err := l.one(ctx, `SELECT x::text, n FROM (
			(SELECT c.x, c.n, 1 AS first FROM changes c WHERE `+settled+` ORDER BY c.x DESC, c.n DESC LIMIT 1)
			UNION ALL SELECT f.x, f.n, 2 FROM changes_forgotten f) AS y ORDER BY first LIMIT 1`, nil, []any{&m.x, &m.n})
	return m.String(), err
}

// Forget implements [ledger.Changes]. It drops the beginning of the feed up to the
// first change that is to stay, so that what is kept has no holes.
func (l *Ledger) Forget(ctx context.Context, before time.Time) (int, error) {
	total := 0
	for {
		var n int64
		err := l.write(ctx, func(t *tx) error {
			var err error
			n, err = t.forget(micros(before))
			return err
		})
		total += int(n)
		if err != nil || n < 10_000 {
			return total, err
		}
	}
}

func (t *tx) forget(before int64) (int64, error) {
	var stays mark
	found, err := t.row(`SELECT x::text, n FROM (
			(SELECT c.x, c.n, 1 AS first FROM changes c WHERE `+settled+` AND c.at >= $1 ORDER BY c.x, c.n LIMIT 1)
			UNION ALL (SELECT c.x, c.n, 2 FROM changes c WHERE `+settled+` ORDER BY c.x DESC, c.n DESC LIMIT 1)) AS y ORDER BY first LIMIT 1`,
		[]any{before}, []any{&stays.x, &stays.n})
	if !found || err != nil {
		return 0, err
	}
	var n int64
	_, err = t.row(`WITH gone AS (DELETE FROM changes c USING (SELECT x, n FROM changes WHERE (x, n) < ($1::text::xid8, $2) ORDER BY x, n LIMIT 10000) o
			WHERE c.x = o.x AND c.n = o.n RETURNING c.x, c.n),
		last AS (UPDATE changes_forgotten f SET x = g.x, n = g.n FROM (SELECT x, n FROM gone ORDER BY x DESC, n DESC LIMIT 1) g WHERE (g.x, g.n) > (f.x, f.n))
		SELECT count(*) FROM gone`, []any{stays.x, stays.n}, []any{&n})
	return n, err
}

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
	if err := t.finish(map[int64]int{upd: len(got.Ended)}); err != nil {
		return err
	}
	if _, err := t.row(`SELECT pending FROM unfinished WHERE upd = $1`, []any{upd}, []any{&got.UnderWay}); err != nil {
		return err
	}
	return t.notify(names(freed))
}

// takeBack ends what is pending and not leased, and returns the channels concerned:
// newer deliveries may have waited behind.
func (t *tx) takeBack(upd, now int64, e ledger.Ended, got *ledger.Cancellation) (map[string]bool, error) {
	freed := map[string]bool{}
	return freed, t.each(`UPDATE deliveries d SET settled = $1,
			outcome = CASE WHEN interrupted OR fault = 'ambiguous' THEN 'unknown' ELSE 'cancelled' END,
			detail = CASE WHEN interrupted OR fault = 'ambiguous' THEN $2 ELSE $3 END
		WHERE id BETWEEN $4 AND $5 AND outcome = '' AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id)
		RETURNING key, channel, accepted, outcome`, []any{now, mayHave, calledBack, upd << placeBits, lastID(upd)}, func(rows pgx.Rows) error {
		var accepted int64
		var outcome string
		err := rows.Scan(&e.Key, &e.Channel, &accepted, &outcome)
		e.Accepted, e.Outcome = instant(accepted), ledger.Outcome(outcome)
		freed[e.Channel] = true
		got.Ended = append(got.Ended, e)
		return err
	})
}

// lapsed puts the attempts of leases that have ended on record, as the next claim
// would have.
func (t *tx) lapsed(upd, now int64) error {
	var broken attempts
	err := t.each(`DELETE FROM leases WHERE id BETWEEN $1 AND $2 AND until <= $3 RETURNING id, attempt, since`,
		[]any{upd << placeBits, lastID(upd), now}, func(rows pgx.Rows) error {
			var id, since int64
			a := ledger.Attempt{Fault: channels.Ambiguous, Interrupted: true, Detail: lost}
			err := rows.Scan(&id, &a.Number, &since)
			a.Started = instant(since)
			broken.add(id, a)
			return err
		})
	if err != nil {
		return err
	}
	return t.interrupted(&broken)
}
