package sqlite

import (
	"context"
	"database/sql"

	"sitrep/ledger"
)

const deliveryOfKey = deliveryColumns + ` FROM deliveries d CROSS JOIN updates u ON u.n = d.upd CROSS JOIN incidents i ON i.n = d.incident
	LEFT JOIN leases l ON l.id = d.id WHERE d.key = ?`

// Delivery implements [ledger.Bouncer].
func (l *Ledger) Delivery(ctx context.Context, key string) (ledger.Delivery, error) {
	d, _, err := oneDelivery(func(use func(*sql.Rows) error) error { return l.whole(ctx, deliveryOfKey, []any{key}, use) })
	return d, err
}

// delivery reads one by its key, and its id.
func (t *tx) delivery(key string) (ledger.Delivery, int64, error) {
	return oneDelivery(func(use func(*sql.Rows) error) error { return t.each(deliveryOfKey, []any{key}, use) })
}

// oneDelivery is what a query finds, or ErrNotFound.
func oneDelivery(query func(use func(*sql.Rows) error) error) (d ledger.Delivery, id int64, err error) {
	var at cursor
	err = query(func(rows *sql.Rows) error {
		var err error
		d, err = scanDelivery(rows, &at)
		return err
	})
	if err == nil && at.id == 0 {
		err = ledger.ErrNotFound
	}
	return d, at.id, err
}
