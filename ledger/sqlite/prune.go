package sqlite

import (
	"context"
	"database/sql"
	"time"

	"sitrep/ledger"
)

var _ ledger.Pruner = (*Ledger)(nil)

const prunable = `status = 'resolved' AND updated < ? AND NOT EXISTS (SELECT 1 FROM updates f WHERE f.incident = incidents.n AND f.pending > 0)`

// Prune implements [ledger.Pruner], one update a transaction, so that others get their
// turn in between. The file does not shrink; its room is used again.
func (l *Ledger) Prune(ctx context.Context, before time.Time) (ledger.Pruned, error) {
	var total ledger.Pruned
	var incidents []int64
	err := l.query(ctx, `SELECT n FROM incidents WHERE `+prunable+` ORDER BY n`, []any{micros(before)}, func(rows *sql.Rows) error {
		var n int64
		err := rows.Scan(&n)
		incidents = append(incidents, n)
		return err
	})
	for _, n := range incidents {
		for more := true; more && err == nil; {
			var p pruning
			err = l.writeAlone(ctx, func(t *tx) error {
				p = pruning{tx: t, incident: n, before: micros(before)}
				var err error
				more, err = p.run()
				return err
			})
			if err == nil {
				add(&total, p.gone)
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
	const idle = ` FROM rosters WHERE used < ? AND NOT EXISTS (SELECT 1 FROM expansions x WHERE x.roster = rosters.digest)`
	for more := true; more; {
		err := l.writeAlone(ctx, func(t *tx) error {
			var digest string
			var err error
			more, err = t.row(`SELECT digest`+idle+` LIMIT 1`, []any{before}, []any{&digest})
			if !more || err != nil {
				return err
			}
			if _, err := t.exec(`DELETE FROM roster_chunks WHERE digest = ?`, digest); err != nil {
				return err
			}
			_, err = t.exec(`DELETE FROM rosters WHERE digest = ?`, digest)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

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
	still, err := p.row(`SELECT n FROM incidents WHERE `+prunable+` AND n = ?`, []any{p.before, p.incident}, []any{new(int64)})
	if !still || err != nil {
		return false, err
	}
	var upd, first, last int64
	found, err := p.row(`SELECT n, first, last FROM updates WHERE incident = ? ORDER BY seq LIMIT 1`, []any{p.incident}, []any{&upd, &first, &last})
	if err == nil {
		err = p.unpackWhere(`incident = ?`, p.incident)
	}
	if err != nil {
		return false, err
	}
	if !found {
		return false, p.drop(&p.gone.Incidents, `DELETE FROM incidents WHERE n = ?`, p.incident)
	}
	return true, p.update(upd, first, last)
}

func (p *pruning) update(upd, first, last int64) error {
	const its = `FROM deliveries WHERE id BETWEEN ? AND ? AND upd = ?`
	if err := p.drop(&p.gone.Entries, `DELETE FROM entries WHERE key IN (SELECT key `+its+`)`, first, last, upd); err != nil {
		return err
	}
	if err := p.drop(&p.gone.Attempts, `DELETE FROM attempts WHERE delivery IN (SELECT id `+its+`)`, first, last, upd); err != nil {
		return err
	}
	if err := p.drop(&p.gone.Deliveries, `DELETE `+its, first, last, upd); err != nil {
		return err
	}
	if err := p.drop(&p.gone.Renderings, `DELETE FROM renderings WHERE upd = ?`, upd); err != nil {
		return err
	}
	return p.drop(&p.gone.Updates, `DELETE FROM updates WHERE n = ?`, upd)
}

// drop runs a statement and counts the rows it deletes.
func (p *pruning) drop(n *int, query string, args ...any) error {
	gone, err := p.changed(query, args...)
	*n = int(gone)
	return err
}
