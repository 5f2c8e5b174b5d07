package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"sync"

	"sitrep/ledger"
)

var _ ledger.Duty = (*Ledger)(nil)

// duties are those of this handle. Each is a file of its own beside the ledger, empty
// and locked by SQLite: the operating system gives such a lock back when the process
// ends, however it ends.
type duties struct {
	sync.Mutex
	held map[string]*duty
}

type duty struct {
	path string
	file os.FileInfo
	db   *sql.DB
}

// Hold implements [ledger.Duty].
func (l *Ledger) Hold(ctx context.Context, name string) (bool, func(), error) {
	l.duties.Lock()
	defer l.duties.Unlock()
	if l.duties.closed() {
		return false, nothing, errClosed
	}
	if l.readOnly {
		return false, nothing, l.refuse()
	}
	d := l.duties.held[name]
	if d != nil && !d.ours() {
		l.duties.drop(name, d)
		d = nil
	}
	if d == nil {
		var err error
		if d, err = take(ctx, l.path+".duty-"+url.PathEscape(name)); d == nil || err != nil {
			return false, nothing, explain(ctx, l.path, err)
		}
		l.duties.held[name] = d
	}
	return true, func() { l.giveBack(name, d) }, ctx.Err()
}

func nothing() {}

// take locks the file, or returns nil if another one has.
func take(ctx context.Context, path string) (*duty, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, []string{"busy_timeout(0)"}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	db.SetConnMaxLifetime(0)
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		if isBusy(err) {
			err = nil
		}
		return nil, errors.Join(err, db.Close())
	}
	return &duty{path: path, file: file, db: db}, nil
}

// ours reports whether the file that we locked is still the one that others would.
func (d *duty) ours() bool {
	now, err := os.Stat(d.path)
	return err == nil && os.SameFile(now, d.file)
}

// giveBack unlocks a duty, unless it is another one's by now.
func (l *Ledger) giveBack(name string, d *duty) {
	l.duties.Lock()
	defer l.duties.Unlock()
	if l.duties.held[name] == d {
		l.duties.drop(name, d)
	}
}

func (d *duties) drop(name string, x *duty) {
	delete(d.held, name)
	_ = x.db.Close() // the lock goes with the open file either way
}

func (d *duties) closed() bool { return d.held == nil }

// close gives all of them back.
func (d *duties) close() {
	d.Lock()
	defer d.Unlock()
	for name, x := range d.held {
		d.drop(name, x)
	}
	d.held = nil
}
