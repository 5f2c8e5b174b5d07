package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"time"

	"sitrep/ledger"
)

// Publish implements [ledger.Pages].
func (l *Ledger) Publish(ctx context.Context, e ledger.PageEntry) error {
	return l.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO entries (key, page, at, payload) VALUES (?,?,?,?)
			ON CONFLICT (key) DO UPDATE SET page = excluded.page, at = excluded.at, payload = excluded.payload`,
			e.Key, e.Page, micros(e.At), append([]byte{}, e.Payload...))
		return err
	})
}

// Entry implements [ledger.Pages].
func (l *Ledger) Entry(ctx context.Context, key string) (ledger.PageEntry, error) {
	e := ledger.PageEntry{Key: key}
	var at int64
	err := l.one(ctx, `SELECT page, at, payload FROM entries WHERE key = ?`, []any{key}, []any{&e.Page, &at, &e.Payload})
	if err != nil {
		return ledger.PageEntry{}, err
	}
	e.At = instant(at)
	return e, nil
}

// Entries implements [ledger.Pages]. A zero since means all; of two of the same time
// the one published later comes first.
func (l *Ledger) Entries(ctx context.Context, page string, since time.Time) ([]ledger.PageEntry, error) {
	var all []ledger.PageEntry
	err := l.query(ctx, `SELECT key, at, payload FROM entries WHERE page = ? AND at >= ? ORDER BY at DESC, n DESC`,
		[]any{page, since.UnixMicro()}, func(rows *sql.Rows) error {
			e := ledger.PageEntry{Page: page}
			var at int64
			err := rows.Scan(&e.Key, &at, &e.Payload)
			e.At = instant(at)
			all = append(all, e)
			return err
		})
	return all, err
}

// Page implements [ledger.Pages].
func (l *Ledger) Page(ctx context.Context, address string) (ledger.Page, error) {
	p := ledger.Page{Address: address}
	err := l.one(ctx, `SELECT token FROM pages WHERE address = ?`, []any{address}, []any{&p.Token})
	if !errors.Is(err, ledger.ErrNotFound) {
		return p, err
	}
	err = l.write(ctx, func(t *tx) error {
		// Another caller may have made it in between: then theirs stays.
		if _, err := t.exec(`INSERT INTO pages (address, token) VALUES (?,?) ON CONFLICT (address) DO NOTHING`, address, strings.ToLower(rand.Text())); err != nil {
			return err
		}
		_, err := t.row(`SELECT token FROM pages WHERE address = ?`, []any{address}, []any{&p.Token})
		return err
	})
	return p, err
}

// PageByToken implements [ledger.Pages].
func (l *Ledger) PageByToken(ctx context.Context, token string) (ledger.Page, error) {
	p := ledger.Page{Token: token}
	if err := l.one(ctx, `SELECT address FROM pages WHERE token = ?`, []any{token}, []any{&p.Address}); err != nil {
		return ledger.Page{}, err
	}
	return p, nil
}
