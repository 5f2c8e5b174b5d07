package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// Name is the database's.
func (l *Ledger) Name() string { return l.pool.Config().ConnConfig.Database }

// Leases counts an owner's leases that end before a time.
func (l *Ledger) Leases(ctx context.Context, owner string, until time.Time) (n int, err error) {
	err = l.pool.QueryRow(ctx, `SELECT count(*) FROM leases WHERE owner = $1 AND until < $2`, owner, micros(until)).Scan(&n)
	return n, err
}

// MigrateTo makes the tables of an older version.
func MigrateTo(ctx context.Context, dsn string, version int64) error {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return err
	}
	defer pool.Close()
	p, err := provider(stdlib.OpenDBFromPool(pool))
	if err == nil {
		_, err = p.UpTo(ctx, version)
	}
	return err
}
