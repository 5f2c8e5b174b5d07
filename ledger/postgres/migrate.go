package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"sitrep/ledger"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schemaTable is where the versions are on record.
const schemaTable = "sitrep_schema"

// ErrNewer says that the tables were made by a newer version of the program.
var ErrNewer = errors.New("the ledger was written by a newer version of sitrep")

// settleSchema brings the tables up to date, one process at a time.
func settleSchema(ctx context.Context, where string, pool *pgxpool.Pool) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// The lock goes with the session; we end that rather than give it back.
	defer func() { _ = conn.Hijack().Close(ctx) }()
	if _, err := conn.Exec(ctx, `SET lock_timeout = 0`); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock(hashtextextended('sitrep schema', 0))`); err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(pool)
	return errors.Join(migrate(ctx, where, db), db.Close())
}

func migrate(ctx context.Context, where string, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return newer(where, have, want)
	}
	if have == want {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName(schemaTable))
}

func newer(where string, have, want int64) error {
	return fmt.Errorf("%w: %s has schema %d, this one knows %d; use that version or a newer one, and see: sitrep version", ErrNewer, where, have, want)
}

// checkSchema makes sure that the tables are those we know, and writes nothing.
func checkSchema(ctx context.Context, where string, pool *pgxpool.Pool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }() // the pool stays
	p, err := provider(db)
	if err != nil {
		return err
	}
	all := p.ListSources()
	want := all[len(all)-1].Version
	var have int64
	err = pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+schemaTable).Scan(&have)
	if e := failure(err); e != nil && e.Code == undefinedTable {
		return fmt.Errorf("%w in %s; the first command that writes makes it, or run: sitrep ledger migrate", ledger.ErrNone, where)
	}
	switch {
	case err != nil:
		return err
	case have > want:
		return newer(where, have, want)
	case have < want:
		return fmt.Errorf("%w: %s has schema %d, and this one needs %d; "+
			"any command that writes brings it up to date, or run: sitrep ledger migrate", ledger.ErrOlder, where, have, want)
	}
	return nil
}
