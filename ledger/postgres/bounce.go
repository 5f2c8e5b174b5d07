package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

var _ ledger.Bouncer = (*Ledger)(nil)

// Bounce implements [ledger.Bouncer].
func (l *Ledger) Bounce(ctx context.Context, b ledger.Bounce) (ledger.Delivery, bool, error) {
	if err := b.Check(); err != nil {
		return ledger.Delivery{}, false, err
	}
	if !fit(b.Key) {
		return ledger.Delivery{}, false, ledger.ErrNotFound
	}
	b.Detail = ledger.CleanText(b.Detail)
	var d ledger.Delivery
	var changed bool
	err := l.write(ctx, func(t *tx) error {
		var id int64
		var err error
		if d, id, err = t.delivery(b.Key); err != nil {
			return err
		}
		if changed, err = bounces(d, b); !changed || err != nil {
			return err
		}
		if err := t.bounce(id, b); err != nil {
			return err
		}
		d, _, err = t.delivery(b.Key)
		return err
	})
	if err != nil {
		return ledger.Delivery{}, false, err
	}
	return d, changed, nil
}

// bounces reports whether b says anything new of d.
func bounces(d ledger.Delivery, b ledger.Bounce) (bool, error) {
	switch d.Outcome {
	case ledger.Pending:
		return false, ledger.ErrUnderWay
	case ledger.Delivered, ledger.Unknown:
		return !b.Delayed || d.Detail != b.Detail, nil
	}
	return false, nil
}

func (t *tx) bounce(id int64, b ledger.Bounce) error {
	if b.Delayed {
		return t.exec(`UPDATE deliveries SET detail = $2 WHERE id = $1`, id, b.Detail)
	}
	err := t.exec(`UPDATE deliveries SET outcome = 'bounced', settled = $2, fault = $3, detail = $4 WHERE id = $1`,
		id, micros(b.At), string(b.Fault), b.Detail)
	if err != nil {
		return err
	}
	t.feed.delivery(id, micros(b.At))
	if !b.Suppress {
		return nil
	}
	return t.exec(`INSERT INTO suppressions (channel, address, reason, at) SELECT channel, address, $2, $3 FROM deliveries WHERE id = $1
		ON CONFLICT (channel, address) DO UPDATE SET reason = excluded.reason, at = excluded.at`, id, b.Detail, micros(b.At))
}

// delivery holds one, by its key, and then reads it.
func (t *tx) delivery(key string) (ledger.Delivery, int64, error) {
	var d ledger.Delivery
	var id int64
	found, err := t.row(`SELECT id FROM deliveries WHERE key = $1 FOR UPDATE`, []any{key}, []any{&id})
	if err == nil && !found {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return d, 0, err
	}
	err = t.each(deliveryColumns+deliveryTables+` WHERE d.id = $1`, []any{id}, func(rows pgx.Rows) error {
		var err error
		d, err = scanDelivery(rows, &id)
		return err
	})
	return d, id, err
}
