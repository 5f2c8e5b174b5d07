package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"

	"sitrep/ledger"
)

// Full lets the file grow no further, as a full disk would; Roomy undoes it.
func (l *Ledger) Full(ctx context.Context) error { return l.pages(ctx, 1) }

// Roomy gives the disk its room back.
func (l *Ledger) Roomy(ctx context.Context) error { return l.pages(ctx, 1<<30) }

func (l *Ledger) pages(ctx context.Context, most int) error {
	var n int64
	return l.conn.QueryRowContext(ctx, "PRAGMA max_page_count = "+strconv.Itoa(most)).Scan(&n)
}

// MigrateTo brings a file to an older schema than today's.
func MigrateTo(ctx context.Context, path string, version int64) (err error) {
	db, err := sql.Open("sqlite", dsn(path, writePragmas()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithTableName("sitrep_schema"))
	if err != nil {
		return err
	}
	_, err = p.UpTo(ctx, version)
	return err
}

// Occupy takes the writer's turn until release is called.
func (l *Ledger) Occupy() (release func()) {
	l.turn <- struct{}{}
	return func() { <-l.turn }
}

// Statements are those whose plans matter.
func Statements() map[string]string {
	all := map[string]string{"claim": claimAny, "claim of incident": claimOfIncident}
	for name, q := range map[string]ledger.DeliveryQuery{
		"everything":          {},
		"pending":             {Outcomes: []ledger.Outcome{ledger.Pending}},
		"pending of customer": {Outcomes: []ledger.Outcome{ledger.Pending}, Customer: "abc"},
		"of update":           {Update: "u"},
		"of incident":         {Incident: "i", Outcomes: []ledger.Outcome{ledger.Failed}},
		"since":               {Since: time.Now(), Channel: "mail"},
	} {
		all["list "+name], _ = listing(q, cursor{})
		all["tally "+name], _ = tallying(q)
	}
	return all
}

// Exec runs a statement of a transaction.
type Exec func(query string, args ...any) error

// Work has work written as everything is.
func (l *Ledger) Work(ctx context.Context, work func(Exec) error) error {
	return l.write(ctx, func(t *tx) error { return work(t.run) })
}

// WorkAlone is Work for what takes long.
func (l *Ledger) WorkAlone(ctx context.Context, work func(Exec) error) error {
	return l.writeAlone(ctx, func(t *tx) error { return work(t.run) })
}

// Read has use called for every row of a query, in a transaction that writes.
func (l *Ledger) Read(ctx context.Context, query string, use func()) error {
	return l.write(ctx, func(t *tx) error {
		return t.each(query, nil, func(*sql.Rows) error {
			use()
			return nil
		})
	})
}

func (t *tx) run(query string, args ...any) error {
	_, err := t.exec(query, args...)
	return err
}

// Waiting is how much work waits.
func (l *Ledger) Waiting() int {
	l.queue.mu.Lock()
	defer l.queue.mu.Unlock()
	return len(l.queue.jobs)
}

// ErrClosed is errClosed.
var ErrClosed = errClosed

// Together is together.
const Together = together

// PackFrom has packs made of so many deliveries or more.
func (l *Ledger) PackFrom(n int) {
	defer l.Occupy()()
	l.packs.least = n
}

// Packs is how many packs of this handle there are.
func (l *Ledger) Packs() int {
	defer l.Occupy()()
	return len(l.packs.all)
}
