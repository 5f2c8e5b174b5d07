package postgres

import (
	"context"
	"errors"
	"sync"

	"github.com/jackc/pgx/v5"
)

var errClosed = errors.New("the ledger is closed")

// duties are those of this handle. Each has a session of its own, for an advisory
// lock lasts exactly as long as its session.
type duties struct {
	sync.Mutex
	held map[string]*pgx.Conn
}

// Hold implements [ledger.Duty]. A server that has not heard of a process that is gone
// without a word gives its duties to nobody until TCP notices.
func (l *Ledger) Hold(ctx context.Context, name string) (bool, func(), error) {
	if l.reading {
		return false, nothing, l.readOnly()
	}
	l.duties.Lock()
	defer l.duties.Unlock()
	if l.duties.held == nil {
		return false, nothing, errClosed
	}
	c := l.duties.held[name]
	if c != nil && !alive(ctx, c) {
		if ctx.Err() != nil {
			l.duties.drop(name, c) // pgx ends a connection whose call was given up
			return false, nothing, ctx.Err()
		}
		l.duties.drop(name, c)
		c = nil
	}
	if c == nil {
		var err error
		if c, err = l.take(ctx, name); c == nil || err != nil {
			return false, nothing, err
		}
		l.duties.held[name] = c
	}
	return true, func() { l.giveBack(name, c) }, nil
}

func nothing() {}

func alive(ctx context.Context, c *pgx.Conn) bool { return c.Ping(ctx) == nil }

// take returns a session that holds the duty, or nil if another one does.
func (l *Ledger) take(ctx context.Context, name string) (*pgx.Conn, error) {
	c, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	ours := false
	err = c.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended('sitrep duty ' || current_schema() || ' ' || $1, 0))`, name).Scan(&ours)
	if err != nil || !ours {
		hangUp(c)
		return nil, explain(ctx, l.where, err)
	}
	return c, nil
}

// giveBack ends the session of a duty, unless it is another one's by now.
func (l *Ledger) giveBack(name string, c *pgx.Conn) {
	l.duties.Lock()
	defer l.duties.Unlock()
	if l.duties.held[name] == c {
		l.duties.drop(name, c)
	}
}

func (d *duties) drop(name string, c *pgx.Conn) {
	delete(d.held, name)
	hangUp(c)
}

// close gives all of them back.
func (d *duties) close() {
	d.Lock()
	defer d.Unlock()
	for name, c := range d.held {
		d.drop(name, c)
	}
	d.held = nil
}
