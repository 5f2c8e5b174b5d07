package sqlite

import (
	"context"
	"database/sql"
)

// unpacked returns once all that was written until now is in rows. On a handle for
// reading only it does nothing: what is in packs counts as unwritten there.
func (l *Ledger) unpacked(ctx context.Context) error {
	if l.readOnly {
		return nil
	}
	var all []int64
	err := l.query(ctx, `SELECT first FROM packs ORDER BY first`, nil, func(rows *sql.Rows) error {
		var first int64
		err := rows.Scan(&first)
		all = append(all, first)
		return err
	})
	for _, first := range all {
		if err != nil {
			break
		}
		err = l.unpackFirst(ctx, first)
	}
	return err
}

// unpackFirst unpacks one, in a transaction of its own, so that others have their turn.
func (w *writer) unpackFirst(ctx context.Context, first int64) error {
	return w.writeAlone(ctx, func(t *tx) error { return t.unpackWhere(`first = ?`, first) })
}

// wholeTries is how often a read gives way to whoever makes packs meanwhile.
const wholeTries = 5

// whole is query for what there is of deliveries: it reads a moment in which none are in
// packs. On a handle for reading only it is query.
func (l *Ledger) whole(ctx context.Context, query string, args []any, use func(*sql.Rows) error) error {
	if l.readOnly {
		return l.query(ctx, query, args, use)
	}
	for range wholeTries {
		if read, err := l.snapshot(ctx, query, args, use); read || err != nil {
			return explain(ctx, l.path, err)
		}
		if err := l.unpacked(ctx); err != nil {
			return err
		}
	}
	// Now nobody here makes any.
	return l.writeAlone(ctx, func(t *tx) error {
		if err := t.unpackWhere(`true`); err != nil {
			return err
		}
		return t.each(query, args, use)
	})
}

// snapshot reads if there are no packs, and reports whether it has.
func (l *Ledger) snapshot(ctx context.Context, query string, args []any, use func(*sql.Rows) error) (read bool, err error) {
	err = l.inOneMoment(ctx, func(conn *sql.Conn) error {
		packs := 0
		if err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM packs)`).Scan(&packs); err != nil || packs > 0 {
			return err
		}
		read = true
		rows, err := conn.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		return drain(rows, use)
	})
	return read, err
}
