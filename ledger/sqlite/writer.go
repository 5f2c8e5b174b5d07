package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"sitrep/ledger"
)

// writer is the one connection that writes.
type writer struct {
	path  string
	file  os.FileInfo // as it was when we opened it
	db    *sql.DB
	conn  *sql.Conn
	turn  chan struct{} // holds a token while somebody writes; the runtime queues in order
	stmts map[string]*sql.Stmt
	gone  bool

	readOnly bool // then there is no connection
}

var errClosed = errors.New("the ledger is closed")

func openWriter(ctx context.Context, path string) (*writer, error) {
	db, err := sql.Open("sqlite", dsn(path, writePragmas()))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := settleSchema(ctx, path, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, conn.Close(), db.Close())
	}
	return &writer{path: path, file: file, db: db, conn: conn, turn: make(chan struct{}, 1), stmts: map[string]*sql.Stmt{}}, nil
}

func (w *writer) close() error {
	if w.readOnly {
		return nil
	}
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.gone = true
	var errs []error
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
}

// write runs work in one durable transaction. It waits for its turn as long as ctx
// lasts; once work has begun it is committed or rolled back whole.
func (w *writer) write(ctx context.Context, work func(*tx) error) error {
	if w.readOnly {
		return w.refuse()
	}
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	if w.gone {
		return errClosed
	}
	if now, err := os.Stat(w.path); err != nil || !os.SameFile(now, w.file) {
		return errMoved(w.path)
	}
	return explain(ctx, w.path, w.transact(ctx, work))
}

// refuse says that nothing is written here.
func (w *writer) refuse() error {
	return fmt.Errorf("nothing was recorded in %s: %w", w.path, ledger.ErrReadOnly)
}

func (w *writer) transact(ctx context.Context, work func(*tx) error) (err error) {
	t := &tx{w: w, ctx: ctx}
	if err := w.begin(ctx, t); err != nil {
		return err
	}
	done := false
	defer func() {
		if !done {
			// SQLite has rolled back by itself after some errors; then this
			// one says so, and there is nothing to do about it.
			_, _ = t.exec("ROLLBACK")
		}
	}()
	if err := work(t); err != nil {
		return err
	}
	if err := t.publish(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := t.exec("COMMIT"); err != nil {
		return err
	}
	done = true
	return nil
}

// begin takes the file's write lock. Another process may hold it.
func (w *writer) begin(ctx context.Context, t *tx) error {
	for end := time.Now().Add(patience); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := t.exec("BEGIN IMMEDIATE")
		if !isBusy(err) || time.Now().After(end) {
			return err
		}
	}
}

// tx is a transaction under way. Its statements are prepared once and stay so.
//
// They do not follow the caller's context: the driver starts a goroutine for each
// statement that could be cancelled, and none of ours takes long. Loops ask alive.
type tx struct {
	w   *writer
	ctx context.Context

	feed []int64 // deliveries that have changed, for publish
	fed  int64
}

// alive is the caller's context error, if any.
func (t *tx) alive() error { return t.ctx.Err() }

func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if s, ok := t.w.stmts[query]; ok {
		return s, nil
	}
	s, err := t.w.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.w.stmts[query] = s
	return s, nil
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	s, err := t.prepare(query) //nolint:sqlclosecheck // the statement is kept for the next one; close closes it
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// changed runs a statement and returns how many rows it changed.
func (t *tx) changed(query string, args ...any) (int64, error) {
	r, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// row runs a query for one row and reports whether there was one.
func (t *tx) row(query string, args, into []any) (bool, error) {
	s, err := t.prepare(query) //nolint:sqlclosecheck // the statement is kept for the next one; close closes it
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// each runs a query and calls use for every row; use scans it.
func (t *tx) each(query string, args []any, use func(*sql.Rows) error) error {
	s, err := t.prepare(query) //nolint:sqlclosecheck // the statement is kept for the next one; close closes it
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	return drain(rows, use)
}

func drain(rows *sql.Rows, use func(*sql.Rows) error) error {
	for rows.Next() {
		if err := use(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
