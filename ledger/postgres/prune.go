package postgres

import (
	"context"
	"time"

	"sitrep/ledger"
)

// Prune implements [ledger.Pruner], one update a transaction.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (ledger.Pruned, error) {
	var total ledger.Pruned
	var incidents []int64
	err := l.write(ctx, func(t *tx) error {
		var err error
		incidents, err = t.ids(`SELECT n FROM incidents WHERE `+prunable+` ORDER BY n`, micros(before))
		return err
	})
	for _, n := range incidents {
		for more := true; more && err == nil; {
			var now ledger.Pruned
			err = l.write(ctx, func(t *tx) error {
				p := pruning{tx: t, incident: n, before: micros(before)}
				var err error
				more, err = p.run()
				now = p.gone
				return err
			})
			if err == nil {
				add(&total, now)
			}
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = l.pruneRosters(ctx, micros(before))
	}
	return total, err
}

// pruneRosters drops those that nobody has used since, and no update needs, each in a
// transaction of its own.
func (l *Ledger) pruneRosters(ctx context.Context, before int64) error {
	for {
		var n int64
		err := l.write(ctx, func(t *tx) (err error) {
			n, err = t.changed(`DELETE FROM rosters WHERE digest = (SELECT r.digest FROM rosters r WHERE r.used < $1
				AND NOT EXISTS (SELECT 1 FROM expansions x WHERE x.roster = r.digest) LIMIT 1 FOR UPDATE SKIP LOCKED)`, before)
			if e := failure(err); e != nil && e.Code == noSuchRow {
				err = errAgain // an update came to need it at this moment
			}
			return err
		})
		if n == 0 || err != nil {
			return err
		}
	}
}

const prunable = `status = 'resolved' AND updated < $1 AND NOT EXISTS (SELECT 1 FROM unfinished f WHERE f.incident = incidents.n)`

func add(to *ledger.Pruned, p ledger.Pruned) {
	to.Incidents += p.Incidents
	to.Updates += p.Updates
	to.Renderings += p.Renderings
	to.Deliveries += p.Deliveries
	to.Attempts += p.Attempts
	to.Entries += p.Entries
}

// pruning drops the oldest update of an incident, or the incident after its last.
type pruning struct {
	*tx
	incident, before int64
	gone             ledger.Pruned
}

func (p *pruning) run() (more bool, err error) {
	// Whoever accepts or reopens holds the incident too: hold it, then look.
	if _, err := p.ids(`SELECT n FROM incidents WHERE n = $1 FOR UPDATE`, p.incident); err != nil {
		return false, err
	}
	still, err := p.row(`SELECT n FROM incidents WHERE `+prunable+` AND n = $2`, []any{p.before, p.incident}, []any{new(int64)})
	if !still || err != nil {
		return false, err
	}
	var upd int64
	found, err := p.row(`SELECT n FROM updates WHERE incident = $1 ORDER BY seq LIMIT 1`, []any{p.incident}, []any{&upd})
	if err != nil {
		return false, err
	}
	if !found {
		return false, p.drop(&p.gone.Incidents, `DELETE FROM incidents WHERE n = $1`, p.incident)
	}
	return true, p.update(upd)
}

func (p *pruning) update(upd int64) error {
	first, last := upd<<placeBits, lastID(upd)
	if err := p.drop(&p.gone.Entries, `DELETE FROM entries WHERE key IN (SELECT key FROM deliveries WHERE id BETWEEN $1 AND $2)`, first, last); err != nil {
		return err
	}
	if err := p.drop(&p.gone.Attempts, `DELETE FROM attempts WHERE delivery BETWEEN $1 AND $2`, first, last); err != nil {
		return err
	}
	if err := p.drop(&p.gone.Deliveries, `DELETE FROM deliveries WHERE id BETWEEN $1 AND $2`, first, last); err != nil {
		return err
	}
	if err := p.drop(&p.gone.Renderings, `DELETE FROM renderings WHERE upd = $1`, upd); err != nil {
		return err
	}
	return p.drop(&p.gone.Updates, `DELETE FROM updates WHERE n = $1`, upd)
}

// drop runs a statement and counts the rows it deletes.
func (p *pruning) drop(n *int, query string, args ...any) error {
	gone, err := p.changed(query, args...)
	*n = int(gone)
	return err
}
