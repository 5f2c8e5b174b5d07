package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// tries is how often a transaction that collided with another one is begun.
const tries = 4

// errAgain says that somebody else was faster: begin the transaction again.
var errAgain = errors.New("another process recorded the same thing at the same moment")

// write runs work in one durable transaction. Where it collided with another one
// nothing of it has happened, so it is tried again; work must allow for that.
func (l *Ledger) write(ctx context.Context, work func(*tx) error) error {
	return l.again(ctx, func() error { return l.transact(ctx, "BEGIN", work) })
}

// once runs work like write, which may not be begun again.
func (l *Ledger) once(ctx context.Context, work func(*tx) error) error {
	if l.reading {
		return cmp.Or(ctx.Err(), l.readOnly())
	}
	return explain(ctx, l.where, l.transact(ctx, "BEGIN", work))
}

// again makes a call that writes, and makes it again where nothing of it has happened.
func (l *Ledger) again(ctx context.Context, call func() error) error {
	if l.reading {
		return cmp.Or(ctx.Err(), l.readOnly())
	}
	var err error
	for range tries {
		if err = call(); !collided(err) {
			break
		}
	}
	return explain(ctx, l.where, err)
}

func (l *Ledger) readOnly() error {
	return fmt.Errorf("nothing was recorded in %s: %w", l.where, ledger.ErrReadOnly)
}

// collided reports whether an error says that nothing has happened and that the next
// attempt may go better: somebody else was faster, or we were too slow and the server
// has ended our transaction.
func collided(err error) bool {
	if errors.Is(err, errAgain) {
		return true
	}
	e := failure(err)
	return e != nil && (e.Code == serializationFail || e.Code == deadlockDetected || e.Code == idleInTransaction)
}

// transact runs work between begin and COMMIT.
func (l *Ledger) transact(ctx context.Context, begin string, work func(*tx) error) error {
	c, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release() // it ends a session that is still in a transaction
	if _, err := c.Exec(ctx, begin); err != nil {
		return err
	}
	t := &tx{Conn: c.Conn(), ctx: ctx}
	if err = work(t); err == nil {
		err = t.commit()
	}
	if err != nil {
		undo(ctx, c.Conn())
	}
	return err
}

// undo ends a failed transaction. Where that fails too, the session ends.
func undo(ctx context.Context, c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = c.Exec(ctx, "ROLLBACK") // see Release
}

// tx is a transaction under way.
type tx struct {
	*pgx.Conn
	ctx context.Context

	// last is sent with the COMMIT, in one go: what others wait for is locked so
	// late that no pause of this process can make them wait.
	last pgx.Batch
	feed feed
}

func (t *tx) commit() error {
	t.feed.queue(&t.last)
	t.last.Queue("COMMIT")
	return t.SendBatch(t.ctx, &t.last).Close()
}

func (t *tx) exec(query string, args ...any) error {
	_, err := t.Exec(t.ctx, query, args...)
	return err
}

// changed runs a statement and returns how many rows it changed.
func (t *tx) changed(query string, args ...any) (int64, error) {
	tag, err := t.Exec(t.ctx, query, args...)
	return tag.RowsAffected(), err
}

// row runs a query for one row and reports whether there was one.
func (t *tx) row(query string, args, into []any) (bool, error) {
	err := t.QueryRow(t.ctx, query, args...).Scan(into...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each runs a query and calls use for every row; use scans it.
func (t *tx) each(query string, args []any, use func(pgx.Rows) error) error {
	rows, err := t.Query(t.ctx, query, args...)
	return drain(rows, err, use)
}

// ids runs a query for a column of ids.
func (t *tx) ids(query string, args ...any) ([]int64, error) {
	rows, err := t.Query(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// together sends statements in one round trip. Their results are not looked at.
func (t *tx) together(b *pgx.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	return t.SendBatch(t.ctx, b).Close()
}

func drain(rows pgx.Rows, err error, use func(pgx.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// query reads rows outside a transaction.
func (l *Ledger) query(ctx context.Context, query string, args []any, use func(pgx.Rows) error) error {
	if !storable(args) {
		return ctx.Err()
	}
	rows, err := l.pool.Query(ctx, query, args...)
	return explain(ctx, l.where, drain(rows, err, use))
}

// one reads a single row into dest, or is ErrNotFound.
func (l *Ledger) one(ctx context.Context, query string, args, dest []any) error {
	if !storable(args) {
		return ledger.ErrNotFound
	}
	err := l.pool.QueryRow(ctx, query, args...).Scan(dest...)
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.ErrNotFound
	}
	return explain(ctx, l.where, err)
}

// storable reports whether what is looked for can be in the ledger at all. The server
// refuses text that cannot, where the right answer is that it is not there.
func storable(args []any) bool {
	for _, a := range args {
		if s, ok := a.(string); ok && !fit(s) {
			return false
		}
	}
	return true
}

// notify wakes whoever works these channels, or everybody for "", when the transaction
// commits. A name too long for a notification is found by polling.
func (t *tx) notify(channels ...string) {
	if len(channels) > 0 {
		t.last.Queue(`SELECT pg_notify($1, c) FROM (SELECT DISTINCT c FROM unnest($2::text[]) AS x(c) WHERE octet_length(c) < 7900) AS y`, wakeup, channels)
	}
}
