package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// Delivery implements [ledger.Bouncer].
func (l *Ledger) Delivery(ctx context.Context, key string) (ledger.Delivery, error) {
	const query = deliveryColumns + deliveryTables + ` WHERE d.key = $1`
	var found []ledger.Delivery
	err := l.query(ctx, query, []any{key}, func(rows pgx.Rows) error {
		var id int64
		d, err := scanDelivery(rows, &id)
		found = append(found, d)
		return err
	})
	if err != nil {
		return ledger.Delivery{}, err
	}
	if len(found) == 0 {
		return ledger.Delivery{}, ledger.ErrNotFound
	}
	return found[0], nil
}
