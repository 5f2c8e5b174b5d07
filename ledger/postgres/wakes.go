package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// wakeup is the notification that carries the ids of channels with new work.
const wakeup = "sitrep_wake"

// pauses between attempts to listen again.
const (
	firstRest = 100 * time.Millisecond
	longRest  = 5 * time.Second
)

// Wakes implements [ledger.Waker] by LISTEN on a connection of its own.
func (l *Ledger) Wakes(ctx context.Context) (<-chan string, error) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.ctx, cancel)
	c, err := l.listen(ctx)
	if err != nil {
		stop()
		cancel()
		if l.ctx.Err() != nil {
			return nil, errClosed
		}
		return nil, err
	}
	out := make(chan string)
	l.wakers.Go(func() {
		defer stop()
		defer cancel()
		defer close(out)
		l.wake(ctx, c, out)
	})
	return out, nil
}

func (l *Ledger) listen(ctx context.Context) (*pgx.Conn, error) {
	c, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, "LISTEN "+wakeup); err != nil {
		hangUp(c)
		return nil, explain(ctx, l.where, err)
	}
	return c, nil
}

// wake passes notifications on until ctx is done. After a new connection anything may
// have happened.
func (l *Ledger) wake(ctx context.Context, c *pgx.Conn, out chan<- string) {
	for {
		relay(ctx, c, out)
		hangUp(c)
		if c = l.listenAgain(ctx); c == nil {
			return
		}
		select {
		case out <- "":
		case <-ctx.Done():
			hangUp(c)
			return
		}
	}
}

// relay passes notifications on while the connection lasts.
func relay(ctx context.Context, c *pgx.Conn, out chan<- string) {
	for {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return
		}
		select {
		case out <- n.Payload:
		case <-ctx.Done():
			return
		}
	}
}

// listenAgain tries until it succeeds; nil means that ctx is done.
func (l *Ledger) listenAgain(ctx context.Context) *pgx.Conn {
	for rest := firstRest; ; rest = min(2*rest, longRest) {
		c, err := l.listen(ctx)
		if err == nil {
			return c
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return nil
		}
	}
}

// connect makes a connection outside the pool.
func (l *Ledger) connect(ctx context.Context) (*pgx.Conn, error) {
	if l.ctx.Err() != nil {
		return nil, errClosed
	}
	c, err := pgx.ConnectConfig(ctx, l.pool.Config().ConnConfig)
	return c, explain(ctx, l.where, err)
}

// hangUp closes a connection whether or not the server still answers.
func hangUp(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx) // the session ends with its connection either way
}
