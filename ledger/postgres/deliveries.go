package postgres

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

// page is how many deliveries are read at a time. Between two pages nothing is held.
const page = 500

// Deliveries are read by way of their updates, whose numbers their ids begin with: so
// the wide table needs no index for reading, and with only pending ones asked for,
// updates that are finished are not looked into. The LIMIT inside keeps the planner
// from reading more of an update than a page.
const (
	deliveryColumns = `SELECT d.id, d.key, u.key, i.id, u.customer, u.severity, d.seq, d.list, d.audience, d.channel,
		d.address, d.name, d.locale, d.zone, d.rendering, d.outcome, d.attempts, l.id IS NOT NULL, d.fault, d.detail,
		d.remote, d.permalink, d.thread, d.due, d.expire, d.accepted, d.settled`

	deliveryTables = ` FROM deliveries d JOIN updates u ON u.n = d.id >> 24 JOIN incidents i ON i.n = d.incident LEFT JOIN leases l ON l.id = d.id`

	tallyColumns = `SELECT u.customer, d.channel, d.outcome, d.outcome = '' AND d.attempts > 0 AS retrying, count(*), min(d.accepted)`
	tallyGroups  = ` GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`
)

// listing reads the page of deliveries after an id.
func listing(q ledger.DeliveryQuery, after int64) (string, []any) {
	f := ofUpdates(q)
	f.add(true, "u.n >= ?", after>>placeBits)
	outer := f.String()
	in := filter{args: f.args}
	in.add(true, "d.id BETWEEN greatest(u.n << 24, ?) AND ((u.n + 1) << 24) - 1", after+1)
	ofDeliveries(&in, q)
	query := deliveryColumns + ` FROM updates u JOIN incidents i ON i.n = u.incident
		CROSS JOIN LATERAL (SELECT * FROM deliveries d` + in.String() + ` ORDER BY d.id` + limit(page) + `) d
		LEFT JOIN leases l ON l.id = d.id` + outer + ` ORDER BY u.n, d.id` + limit(page)
	return query, in.args
}

// tallying counts. Of pending ones it reads as many rows as there are, no matter how
// large their updates.
func tallying(q ledger.DeliveryQuery) (string, []any) {
	f, from := ofUpdates(q), ` FROM updates u JOIN deliveries d ON d.id BETWEEN u.n << 24 AND ((u.n + 1) << 24) - 1`
	if onlyPending(q) {
		from = ` FROM deliveries d JOIN updates u ON u.n = d.id >> 24`
	}
	ofDeliveries(f, q)
	return tallyColumns + from + f.String() + tallyGroups, f.args
}

// ofUpdates is what the query asks of updates.
func ofUpdates(q ledger.DeliveryQuery) *filter {
	f := &filter{}
	f.add(q.Update != "", "u.key = ?", q.Update)
	f.add(q.Incident != "", "u.incident = (SELECT n FROM incidents WHERE id = ?)", q.Incident)
	f.add(q.Customer != "", "u.customer = ?", q.Customer)
	f.add(!q.Since.IsZero(), "u.touched >= ?", micros(q.Since))
	f.add(onlyPending(q), "EXISTS (SELECT 1 FROM unfinished f WHERE f.upd = u.n)")
	return f
}

// ofDeliveries is what the query asks of deliveries.
func ofDeliveries(f *filter, q ledger.DeliveryQuery) {
	f.add(q.Channel != "", "d.channel = ?", q.Channel)
	f.add(!q.Since.IsZero(), "d.accepted >= ?", micros(q.Since))
	if onlyPending(q) {
		f.add(true, "d.outcome = ''") // to the letter: a partial index is found by it
	} else if len(q.Outcomes) > 0 {
		all := make([]string, len(q.Outcomes))
		for i, o := range q.Outcomes {
			all[i] = string(o)
		}
		f.add(true, "d.outcome = ANY(?)", all)
	}
}

func onlyPending(q ledger.DeliveryQuery) bool {
	return len(q.Outcomes) > 0 && !slices.ContainsFunc(q.Outcomes, func(o ledger.Outcome) bool { return o != ledger.Pending })
}

// Deliveries implements [ledger.Reader].
func (l *Ledger) Deliveries(ctx context.Context, q ledger.DeliveryQuery) iter.Seq2[ledger.Delivery, error] {
	return func(yield func(ledger.Delivery, error) bool) {
		after, err := l.after(ctx, q)
		if err != nil {
			if !errors.Is(err, ledger.ErrNotFound) {
				yield(ledger.Delivery{}, err)
			}
			return
		}
		for {
			got, err := l.deliveries(ctx, q, &after)
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

// after is the id of the delivery that the listing is to begin behind, or 0.
func (l *Ledger) after(ctx context.Context, q ledger.DeliveryQuery) (int64, error) {
	if q.After == "" {
		return 0, nil
	}
	var id int64
	err := l.one(ctx, `SELECT d.id FROM deliveries d JOIN updates u ON u.n = d.id >> 24 WHERE d.key = $1 AND $2 IN ('', u.customer)`,
		[]any{q.After, q.Customer}, []any{&id})
	return id, err
}

func (l *Ledger) deliveries(ctx context.Context, q ledger.DeliveryQuery, after *int64) ([]ledger.Delivery, error) {
	query, args := listing(q, *after)
	var got []ledger.Delivery
	err := l.query(ctx, query, args, func(rows pgx.Rows) error {
		d, err := scanDelivery(rows, after)
		got = append(got, d)
		return err
	})
	return got, err
}

// scanDelivery reads a row of deliveryColumns, and more after them.
func scanDelivery(rows pgx.Rows, id *int64, more ...any) (ledger.Delivery, error) {
	var d ledger.Delivery
	var outcome, fault, thread string
	var due, expire, accepted, settled int64
	err := rows.Scan(append([]any{
		id, &d.Key, &d.Update, &d.Incident, &d.Customer, &d.Severity, &d.Seq, &d.List, &d.Audience, &d.Channel,
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
	err := l.query(ctx, query, args, func(rows pgx.Rows) error {
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
