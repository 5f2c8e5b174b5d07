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
	turn  chan struct{} // holds a token while somebody writes
	stmts map[string]*sql.Stmt
	gone  bool
	queue queue
	packs packs

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
	return &writer{path: path, file: file, db: db, conn: conn, turn: make(chan struct{}, 1), stmts: map[string]*sql.Stmt{}, packs: newPacks()}, nil
}

func (w *writer) close() error {
	if w.readOnly {
		return nil
	}
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	errs := []error{w.unpackMade()}
	w.gone = true
	if w.packs.timer != nil {
		w.packs.timer.Stop()
	}
	for _, s := range w.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, w.conn.Close(), w.db.Close())...)
}

// refuse says that nothing is written here.
func (w *writer) refuse() error {
	return fmt.Errorf("nothing was recorded in %s: %w", w.path, ledger.ErrReadOnly)
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
	back []func() // take back what it has changed in memory
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

// drain closes rows in any case: a statement left half read goes on from there when it
// is used again.
func drain(rows *sql.Rows, use func(*sql.Rows) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
