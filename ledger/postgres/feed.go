package postgres

import "github.com/jackc/pgx/v5"

// feed is what a transaction has to say in the change feed, in this order, one slice a
// column. Whatever changes a delivery's outcome or its count of attempts, or adds to
// an update, notes it here; what the delivery has become is read at the end.
type feed struct{ updates, deliveries, at []int64 }

// update notes that an update was accepted, or has got more recipients.
func (f *feed) update(upd, at int64) { f.add(upd, 0, at) }

// delivery notes that one has changed; at is when, if it is pending.
func (f *feed) delivery(id, at int64) { f.add(id>>placeBits, id, at) }

func (f *feed) add(upd, id, at int64) {
	f.updates, f.deliveries, f.at = append(f.updates, upd), append(f.deliveries, id), append(f.at, at)
}

func (f *feed) queue(b *pgx.Batch) {
	if len(f.updates) == 0 {
		return
	}
	b.Queue(`SELECT feed_changes($1, $2, $3)`, f.updates, f.deliveries, f.at)
}
