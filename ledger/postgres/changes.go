package postgres

import (
	"context"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

var _ ledger.Changes = (*Ledger)(nil)

// Changes implements [ledger.Changes]. Transactions append to the feed in the order in
// which they commit, so whatever is there can be read.
func (l *Ledger) Changes(ctx context.Context, after string, limit int) ([]ledger.Change, error) {
	from, err := l.mark(ctx, after)
	if err != nil {
		return nil, err
	}
	var all []ledger.Change
	err = l.query(ctx, `SELECT c.n, c.at, u.key, i.id, u.customer, u.seq, coalesce(d.key, ''), coalesce(d.list, ''), coalesce(d.audience, ''),
			coalesce(d.channel, ''), coalesce(d.address, ''), coalesce(d.name, ''), coalesce(d.locale, ''), coalesce(d.zone, ''),
			c.outcome, c.attempts, c.fault
		FROM changes c JOIN updates u ON u.n = c.upd JOIN incidents i ON i.n = u.incident LEFT JOIN deliveries d ON d.id = c.delivery
		WHERE c.n > $1 AND (c.delivery = 0 OR d.id IS NOT NULL)
		ORDER BY c.n LIMIT $2`, []any{from, max(limit, 0)}, func(rows pgx.Rows) error {
		c, err := scanChange(rows)
		all = append(all, c)
		return err
	})
	return all, err
}

func scanChange(rows pgx.Rows) (ledger.Change, error) {
	var c ledger.Change
	var n, at int64
	var outcome, fault string
	err := rows.Scan(&n, &at, &c.Update, &c.Incident, &c.Customer, &c.Seq, &c.Delivery, &c.List, &c.Audience,
		&c.Channel, &c.To.Address, &c.To.Name, &c.To.Locale, &c.To.Zone, &outcome, &c.Attempts, &fault)
	c.Cursor, c.At = strconv.FormatInt(n, 10), instant(at)
	c.Outcome, c.Fault = ledger.Outcome(outcome), channels.Fault(fault)
	return c, err
}

var cursorForm = regexp.MustCompile(`^\d{1,18}$`)

// mark is the place a cursor stands for, if everything after it is still there.
func (l *Ledger) mark(ctx context.Context, cursor string) (int64, error) {
	if cursor == "" {
		return 0, ctx.Err()
	}
	if !cursorForm.MatchString(cursor) {
		return 0, ledger.ErrForgotten
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil {
		return 0, ledger.ErrForgotten
	}
	known := false
	err = l.one(ctx, `SELECT $1::bigint >= f.n AND $1::bigint <= coalesce((SELECT max(c.n) FROM changes c), f.n) FROM changes_forgotten f`,
		[]any{n}, []any{&known})
	if err == nil && !known {
		err = ledger.ErrForgotten
	}
	return n, err
}

// Latest implements [ledger.Changes].
func (l *Ledger) Latest(ctx context.Context) (string, error) {
	var n int64
	err := l.one(ctx, `SELECT coalesce((SELECT max(c.n) FROM changes c), f.n) FROM changes_forgotten f`, nil, []any{&n})
	return strconv.FormatInt(n, 10), err
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
	var stays, n int64
	found, err := t.row(`SELECT coalesce((SELECT c.n FROM changes c WHERE c.at >= $1 ORDER BY c.n LIMIT 1), (SELECT max(c.n) FROM changes c), 0)`,
		[]any{before}, []any{&stays})
	if !found || err != nil {
		return 0, err
	}
	_, err = t.row(`WITH gone AS (DELETE FROM changes c USING (SELECT n FROM changes WHERE n < $1 ORDER BY n LIMIT 10000) o WHERE c.n = o.n RETURNING c.n),
		last AS (UPDATE changes_forgotten f SET n = g.n FROM (SELECT max(n) AS n FROM gone) g WHERE g.n > f.n)
		SELECT count(*) FROM gone`, []any{stays}, []any{&n})
	return n, err
}
