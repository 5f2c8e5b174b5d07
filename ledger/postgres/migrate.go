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
)

//go:embed migrations/*.sql
var migrations embed.FS

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
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithTableName("sitrep_schema"))
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fmt.Errorf("%w: %s has schema %d, this one knows %d; use that version or a newer one, and see: sitrep version", ErrNewer, where, have, want)
	}
	if have == want {
		return nil
	}
	_, err = p.Up(ctx)
	return err
}
