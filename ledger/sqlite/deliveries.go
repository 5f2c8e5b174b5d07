package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"sitrep/channels"
	"sitrep/ledger"
)

// page is how many deliveries are read at a time. Between two pages nothing is held.
const page = 500

// Deliveries are read by way of their updates, which know the range of their ids: so
// the wide table needs no index for reading, and with only pending ones asked for,
// updates that are finished are not looked into.
const (
	deliveryTables = ` FROM updates u %s CROSS JOIN incidents i ON i.n = u.incident
		CROSS JOIN deliveries d ON d.id BETWEEN %s AND u.last AND d.upd = u.n
		LEFT JOIN leases l ON l.id = d.id`

	deliveryColumns = `SELECT u.n, d.id, d.key, u.key, i.id, u.customer, u.severity, d.seq, d.list, d.audience, d.channel,
		d.address, d.name, d.locale, d.zone, d.rendering, d.outcome, d.attempts, l.id IS NOT NULL, d.fault, d.detail,
		d.remote, d.permalink, d.thread, d.due, d.expire, d.accepted, d.settled`

	pendingTables = ` FROM deliveries d INDEXED BY deliveries_pending
		CROSS JOIN updates u ON u.n = d.upd CROSS JOIN incidents i ON i.n = d.incident`

	tallyColumns = `SELECT u.customer, d.channel, d.outcome, d.outcome = '' AND d.attempts > 0 AS retrying, count(*), min(d.accepted)`
	tallyGroups  = ` GROUP BY u.customer, d.channel, d.outcome, retrying ORDER BY u.customer, d.channel, d.outcome, retrying`
)

// tables is deliveryTables for q, reading each update from its first delivery on.
func tables(q ledger.DeliveryQuery, first string) string {
	index := "NOT INDEXED" // they are wanted in the order of their rows
	switch {
	case q.Update != "":
		index = ""
	case onlyPending(q):
		index = "INDEXED BY updates_pending"
	}
	return fmt.Sprintf(deliveryTables, index, first)
}

// listing reads the page of deliveries after a cursor.
func listing(q ledger.DeliveryQuery, at cursor) (string, []any) {
	f := narrow(q)
	f.add(true, "u.n >= ?", at.upd)
	query := deliveryColumns + tables(q, "iif(u.n = ?, ? + 1, u.first)") + f.String() + ` ORDER BY u.n, d.id LIMIT ?`
	return query, slices.Concat([]any{at.upd, at.id}, f.args, []any{page})
}

// tallying counts. Of pending ones it reads as many rows as there are, no matter how
// large their updates.
func tallying(q ledger.DeliveryQuery) (string, []any) {
	f, from := narrow(q), tables(q, "u.first")
	if onlyPending(q) {
		from = pendingTables
	}
	return tallyColumns + from + f.String() + tallyGroups, f.args
}

func narrow(q ledger.DeliveryQuery) *filter {
	f := &filter{}
	f.add(q.Update != "", "u.key = ?", q.Update)
	f.add(q.Incident != "", "i.id = ?", q.Incident)
	f.add(q.Customer != "", "u.customer = ?", q.Customer)
	f.add(q.Channel != "", "d.channel = ?", q.Channel)
	f.add(!q.Since.IsZero(), "u.touched >= ? AND d.accepted >= ?", micros(q.Since), micros(q.Since))
	if onlyPending(q) {
		f.add(true, "u.pending > 0 AND d.outcome = ''") // to the letter: a partial index is found by it
	} else if len(q.Outcomes) > 0 {
		marks := strings.TrimSuffix(strings.Repeat("?,", len(q.Outcomes)), ",")
		args := make([]any, len(q.Outcomes))
		for i, o := range q.Outcomes {
			args[i] = string(o)
		}
		f.add(true, "d.outcome IN ("+marks+")", args...)
	}
	return f
}

func onlyPending(q ledger.DeliveryQuery) bool {
	return len(q.Outcomes) > 0 && !slices.ContainsFunc(q.Outcomes, func(o ledger.Outcome) bool { return o != ledger.Pending })
}

// Deliveries implements [ledger.Reader].
func (l *Ledger) Deliveries(ctx context.Context, q ledger.DeliveryQuery) iter.Seq2[ledger.Delivery, error] {
	return func(yield func(ledger.Delivery, error) bool) {
		at, err := l.after(ctx, q)
		if err != nil {
			if !errors.Is(err, ledger.ErrNotFound) {
				yield(ledger.Delivery{}, err)
			}
			return
		}
		for {
			got, err := l.deliveries(ctx, q, &at)
			for _, d := range got {
				if !yield(d, nil) {
					return
				}
			}
			if err != nil {
				yield(ledger.Delivery{}, err)
			}
			if err != nil || len(got) < page {
				return
			}
		}
	}
}

// cursor is the last delivery read.
type cursor struct{ upd, id int64 }

// after is the place behind a delivery, or the beginning.
func (l *Ledger) after(ctx context.Context, q ledger.DeliveryQuery) (cursor, error) {
	var at cursor
	if q.After == "" {
		return at, nil
	}
	err := l.whole(ctx, `SELECT d.upd, d.id FROM deliveries d JOIN updates u ON u.n = d.upd WHERE d.key = ? AND ? IN ('', u.customer)`,
		[]any{q.After, q.Customer}, func(rows *sql.Rows) error { return rows.Scan(&at.upd, &at.id) })
	if err == nil && at.id == 0 {
		err = ledger.ErrNotFound
	}
	return at, err
}

func (l *Ledger) deliveries(ctx context.Context, q ledger.DeliveryQuery, at *cursor) ([]ledger.Delivery, error) {
	query, args := listing(q, *at)
	var got []ledger.Delivery
	err := l.whole(ctx, query, args, func(rows *sql.Rows) error {
		d, err := scanDelivery(rows, at)
		got = append(got, d)
		return err
	})
	return got, err
}

// scanDelivery reads a row of deliveryColumns, and more after them.
func scanDelivery(rows *sql.Rows, at *cursor, more ...any) (ledger.Delivery, error) {
	var d ledger.Delivery
	var outcome, fault, thread string
	var due, expire, accepted, settled int64
	err := rows.Scan(append([]any{
		&at.upd, &at.id, &d.Key, &d.Update, &d.Incident, &d.Customer, &d.Severity, &d.Seq, &d.List, &d.Audience, &d.Channel,
		&d.To.Address, &d.To.Name, &d.To.Locale, &d.To.Zone, &d.Rendering, &outcome, &d.Attempts, &d.Leased, &fault, &d.Detail,
		&d.Receipt.RemoteID, &d.Receipt.Permalink, &thread, &due, &expire, &accepted, &settled,
	}, more...)...)
	d.Outcome, d.Fault, d.Receipt.Thread = ledger.Outcome(outcome), channels.Fault(fault), channels.Thread(thread)
	d.Due, d.Expire, d.Accepted, d.Settled = instant(due), instant(expire), instant(accepted), instant(settled)
	return d, err
}

// Tally implements [ledger.Reader]. They come by customer, channel and outcome.
func (l *Ledger) Tally(ctx context.Context, q ledger.DeliveryQuery) ([]ledger.Tally, error) {
	query, args := tallying(q)
	var all []ledger.Tally
	err := l.whole(ctx, query, args, func(rows *sql.Rows) error {
		var t ledger.Tally
		var outcome string
		var oldest int64
		err := rows.Scan(&t.Customer, &t.Channel, &outcome, &t.Retrying, &t.Count, &oldest)
		t.Outcome, t.Oldest = ledger.Outcome(outcome), instant(oldest)
		all = append(all, t)
		return err
	})
	return all, err
}
