package sqlite

import (
	"context"

	"sitrep/ledger"
)

var _ ledger.Bouncer = (*Ledger)(nil)

// Bounce implements [ledger.Bouncer].
func (l *Ledger) Bounce(ctx context.Context, b ledger.Bounce) (ledger.Delivery, bool, error) {
	if err := b.Check(); err != nil {
		return ledger.Delivery{}, false, err
	}
	b.Detail = ledger.CleanText(b.Detail)
	var d ledger.Delivery
	var changed bool
	err := l.write(ctx, func(t *tx) error {
		var id int64
		err := t.unpackWhere(`low <= ?1 AND high >= ?1`, b.Key)
		if err != nil {
			return err
		}
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
		_, err := t.exec(`UPDATE deliveries SET detail = ? WHERE id = ?`, b.Detail, id)
		return err
	}
	_, err := t.exec(`UPDATE deliveries SET outcome = 'bounced', settled = ?, fault = ?, detail = ? WHERE id = ?`,
		micros(b.At), string(b.Fault), b.Detail, id)
	if err != nil {
		return err
	}
	t.became(micros(b.At), id)
	if !b.Suppress {
		return nil
	}
	_, err = t.exec(`INSERT OR REPLACE INTO suppressions (channel, address, reason, at) SELECT channel, address, ?, ? FROM deliveries WHERE id = ?`,
		b.Detail, micros(b.At), id)
	return err
}
