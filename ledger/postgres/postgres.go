package postgres

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sitrep/ledger"
)

const (
	// connections is how many there are at most, unless the address says
	// pool_max_conns.
	connections = 10

	// patience is how long a server may take to answer a new connection, unless the
	// address says connect_timeout.
	patience = 5 * time.Second
)

// session is what every connection is set to.
//
// A process that is stopped inside a transaction loses it, and its locks, well before
// the leases of those who wait for them end. The statements are few, known, and to be answered from an index: the planner is not
// to find otherwise because a table was empty when it looked.
const session = `SET synchronous_commit = on;
	SET lock_timeout = '10s';
	SET idle_in_transaction_session_timeout = '4s';
	SET default_transaction_isolation = 'read committed';
	SET jit = off;
	SET plan_cache_mode = force_generic_plan;
	SET enable_seqscan = off;
	SET enable_bitmapscan = off;
	SET enable_hashjoin = off;
	SET enable_mergejoin = off`

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	pool  *pgxpool.Pool
	where string // the server and database, for people; no secrets

	reading bool // it was opened for reading only

	closed sync.Once
	ctx    context.Context // done when the ledger is closed
	cancel context.CancelFunc
	wakers sync.WaitGroup
	duties duties
}

var (
	_ ledger.Ledger   = (*Ledger)(nil)
	_ ledger.Waker    = (*Ledger)(nil)
	_ ledger.Duty     = (*Ledger)(nil)
	_ ledger.Pruner   = (*Ledger)(nil)
	_ ledger.Exporter = (*Ledger)(nil)
	_ ledger.Importer = (*Ledger)(nil)
)

// Open opens the ledger in the database at dsn, "postgres://USER:PASSWORD@HOST/DATABASE"
// or what else libpq takes as a connection string; what it leaves out comes from the
// environment (PGPASSWORD and so on) and ~/.pgpass. The tables are made or brought up
// to date if need be. ctx is for the opening only.
func Open(ctx context.Context, dsn string) (*Ledger, error) {
	return open(ctx, dsn, false)
}

// OpenReadOnly opens a ledger that is there already, for reading: what would write is
// [ledger.ErrReadOnly], and the server sees to it as well, so a standby will do. The
// tables must be of this version: nothing is made or brought up to date.
func OpenReadOnly(ctx context.Context, dsn string) (*Ledger, error) {
	return open(ctx, dsn, true)
}

func open(ctx context.Context, dsn string, reading bool) (*Ledger, error) {
	c, err := configuration(dsn)
	if err != nil {
		return nil, err
	}
	if reading {
		c.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	}
	where := place(c.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, explain(ctx, where, err)
	}
	settle := settleSchema
	if reading {
		settle = checkSchema
	}
	if err := settle(ctx, where, pool); err != nil {
		pool.Close()
		return nil, explain(ctx, where, err)
	}
	l := &Ledger{pool: pool, where: where, reading: reading, duties: duties{held: map[string]*pgx.Conn{}}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// errAddress does not say more: what the parser says repeats parts of the address.
var errAddress = errors.New("the ledger's address is not one that PostgreSQL understands; " +
	"write it as postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full, percent-encode what is not a letter or digit " +
	"in a password (or give that by PGPASSWORD or ~/.pgpass), and check that the files it names exist")

func configuration(dsn string) (*pgxpool.Config, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, errAddress
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		c.MaxConns = connections
	}
	if c.ConnConfig.ConnectTimeout <= 0 || c.ConnConfig.ConnectTimeout > time.Minute {
		c.ConnConfig.ConnectTimeout = patience
	}
	if c.ConnConfig.RuntimeParams["application_name"] == "" {
		c.ConnConfig.RuntimeParams["application_name"] = "sitrep"
	}
	c.AfterConnect = prepare
	return c, nil
}

// prepare makes a new connection ours.
func prepare(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, session, pgx.QueryExecModeSimpleProtocol)
	return err
}

// place names the server and the database.
func place(c *pgx.ConnConfig) string {
	return c.Database + " on " + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port)))
}

// Close waits for calls under way, gives every duty back and closes the connections.
// Calls after it fail. Closing again does nothing.
func (l *Ledger) Close() error {
	l.closed.Do(func() {
		l.cancel()
		l.wakers.Wait()
		l.duties.close()
		l.pool.Close()
	})
	return nil
}

// micros is how a time is stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
