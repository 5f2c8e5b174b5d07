package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sitrep/ledger"
)

// OpenReadOnly opens a ledger for reading: it makes none, writes to none that is there
// and changes no schema. Whatever would write is [ledger.ErrReadOnly]; so is
// asking for a duty, and the first look at a page (which makes its link). Backup works.
// If there is no such file, the error is [ledger.ErrNone] and fs.ErrNotExist; if it has
// the tables of an older version, [ledger.ErrOlder].
//
// It works while other processes write, and sees what they have committed, but for
// deliveries of large updates that are a few seconds old at most, or were left so by a
// crash: until they are written out they count in [ledger.Update.Unwritten]. It needs
// the right to read PATH-wal and PATH-shm, too, which are there for as long. If nobody
// has the file open, the right to read it is all that is needed, be it on a read-only
// disk. If somebody begins to write to it after that, what is read fails from then on
// with [ledger.ErrChanged], and the file has to be opened again. (After a crash PATH-wal is there and nobody has
// it open. It is read and left as it is; SQLite may make PATH-shm anew beside it.)
func OpenReadOnly(ctx context.Context, path string) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: find the current directory: %w", err)
	}
	l := &Ledger{writer: &writer{path: path, readOnly: true}, duties: duties{held: map[string]*duty{}}}
	if err := l.look(); err != nil {
		return nil, err
	}
	if l.read, err = sql.Open("sqlite", dsn(path, readPragmas(), l.flags()...)); err != nil {
		return nil, explain(ctx, path, err)
	}
	l.read.SetMaxOpenConns(readers)
	l.read.SetMaxIdleConns(readers)
	if err := l.known(ctx); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// look finds out whether there is a file, and whether somebody has it open: SQLite
// keeps PATH-wal for as long.
func (l *Ledger) look() error {
	info, err := os.Stat(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w; the first update that is sent makes it", ledger.ErrNone, err)
	}
	if err != nil {
		return fmt.Errorf("the ledger cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("the ledger %s is not a file; name another place in the configuration (ledger: sqlite://PATH)", l.path)
	}
	if _, err := os.Stat(l.path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		l.still = info
	}
	return nil
}

// flags are how another connection reads the file, if this handle must not write.
func (l *Ledger) flags() []string {
	switch {
	case !l.readOnly:
		return nil
	case l.still != nil:
		return []string{"mode=ro", "immutable=1"}
	}
	return []string{"mode=ro"}
}

// unchanged is an error if the file may not change and did: what was read may be half
// of one state and half of another.
func (l *Ledger) unchanged() error {
	if l.still == nil {
		return nil
	}
	now, err := os.Stat(l.path)
	if err == nil && os.SameFile(now, l.still) && now.Size() == l.still.Size() && now.ModTime().Equal(l.still.ModTime()) {
		return nil
	}
	return fmt.Errorf("%w: read %s again", ledger.ErrChanged, l.path)
}

// known reports a schema that this version cannot read.
func (l *Ledger) known(ctx context.Context) error {
	var there, have int
	err := l.one(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'sitrep_schema'`, nil, []any{&there})
	if err == nil && there > 0 {
		err = l.one(ctx, `SELECT coalesce(max(version_id), 0) FROM sitrep_schema WHERE is_applied`, nil, []any{&have})
	}
	if err != nil {
		return err
	}
	want, err := latest()
	switch {
	case err != nil:
		return err
	case have > want:
		return tooNew(l.path, have, want)
	case have < want:
		return fmt.Errorf("%w: %s has schema %d and this one reads schema %d; bring it up to date with: sitrep ledger migrate "+
			"(any command that writes to it does so too)", ledger.ErrOlder, l.path, have, want)
	}
	return nil
}

// latest is the schema that the migrations lead to.
func latest() (int, error) {
	files, err := migrations.ReadDir("migrations")
	last := 0
	for _, f := range files {
		n, _, _ := strings.Cut(f.Name(), "_")
		v, bad := strconv.Atoi(n)
		last, err = max(last, v), errors.Join(err, bad)
	}
	return last, err
}
