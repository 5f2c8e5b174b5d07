package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// Publish implements [ledger.Pages].
func (l *Ledger) Publish(ctx context.Context, e ledger.PageEntry) error {
	return l.write(ctx, func(t *tx) error { return t.publish(e) })
}

func (t *tx) publish(e ledger.PageEntry) error {
	return t.exec(`INSERT INTO entries (key, page, at, payload) VALUES ($1,$2,$3,$4)
		ON CONFLICT (key) DO UPDATE SET page = excluded.page, at = excluded.at, payload = excluded.payload`,
		e.Key, e.Page, micros(e.At), append([]byte{}, e.Payload...))
}

const entryColumns = `SELECT key, page, at, payload FROM entries`

func scanEntry(rows pgx.Rows) (ledger.PageEntry, error) {
	var e ledger.PageEntry
	var at int64
	err := rows.Scan(&e.Key, &e.Page, &at, &e.Payload)
	e.At = instant(at)
	return e, err
}

// Entry implements [ledger.Pages].
func (l *Ledger) Entry(ctx context.Context, key string) (ledger.PageEntry, error) {
	all, err := l.entries(ctx, ` WHERE key = $1`, key)
	if err == nil && len(all) == 0 {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return ledger.PageEntry{}, err
	}
	return all[0], nil
}

// Entries implements [ledger.Pages]. A zero since means all; of two of the same time
// the one published later comes first.
func (l *Ledger) Entries(ctx context.Context, page string, since time.Time) ([]ledger.PageEntry, error) {
	return l.entries(ctx, ` WHERE page = $1 AND at >= $2 ORDER BY at DESC, n DESC`, page, since.UnixMicro())
}

func (l *Ledger) entries(ctx context.Context, which string, args ...any) ([]ledger.PageEntry, error) {
	var all []ledger.PageEntry
	err := l.query(ctx, entryColumns+which, args, func(rows pgx.Rows) error {
		e, err := scanEntry(rows)
		all = append(all, e)
		return err
	})
	return all, err
}

// Page implements [ledger.Pages].
func (l *Ledger) Page(ctx context.Context, address string) (ledger.Page, error) {
	p := ledger.Page{Address: address}
	const find = `SELECT token FROM pages WHERE address = $1`
	err := l.one(ctx, find, []any{address}, []any{&p.Token})
	if !errors.Is(err, ledger.ErrNotFound) {
		return p, err
	}
	err = l.write(ctx, func(t *tx) error {
		// Another caller may have made it in between: then theirs stays.
		err := t.exec(`INSERT INTO pages (address, token) VALUES ($1,$2) ON CONFLICT (address) DO NOTHING`, address, strings.ToLower(rand.Text()))
		if err != nil {
			return err
		}
		_, err = t.row(find, []any{address}, []any{&p.Token})
		return err
	})
	return p, err
}

// PageByToken implements [ledger.Pages].
func (l *Ledger) PageByToken(ctx context.Context, token string) (ledger.Page, error) {
	p := ledger.Page{Token: token}
	if err := l.one(ctx, `SELECT address FROM pages WHERE token = $1`, []any{token}, []any{&p.Address}); err != nil {
		return ledger.Page{}, err
	}
	return p, nil
}
