package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sitrep/ledger"
)

var _ ledger.Backuper = (*Ledger)(nil)

// Backup implements [ledger.Backuper] by VACUUM INTO: the writer is not in its way nor
// it in the writer's. The file is made with mode 0600 beside its final name, flushed
// to disk and then given that name.
func (l *Ledger) Backup(ctx context.Context, file string) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("back up the ledger: find the current directory: %w", err)
	}
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("the backup %s is there already (%w) and was left as it is; name another file", file, fs.ErrExist)
	}
	if err := l.unpacked(ctx); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part*")
	if err != nil {
		return fmt.Errorf("the backup cannot be written: %w; make its directory, or name another place", err)
	}
	err = errors.Join(part.Close(), l.vacuum(ctx, part.Name()))
	if err == nil {
		err = keep(part.Name(), file)
	}
	return errors.Join(err, discard(part.Name()))
}

// vacuum writes the ledger to an empty file.
func (l *Ledger) vacuum(ctx context.Context, file string) error {
	db, err := sql.Open("sqlite", dsn(l.path, []string{"busy_timeout(10000)"}, l.flags()...))
	if err != nil {
		return err
	}
	if l.isClosed() {
		return errors.Join(errClosed, db.Close())
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", file)
	return errors.Join(explain(ctx, l.path, err), l.unchanged(), db.Close())
}

func (l *Ledger) isClosed() bool {
	l.duties.Lock()
	defer l.duties.Unlock()
	return l.duties.closed()
}

// keep flushes the finished part and gives it its name, unless that was taken meanwhile.
func keep(part, file string) error {
	f, err := os.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("the backup could not be flushed to disk: %w", err)
	}
	if err := os.Link(part, file); err != nil {
		return fmt.Errorf("the backup cannot be given its name: %w", err)
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// discard removes the part, which is another name of the backup if that succeeded.
func discard(part string) error {
	err := os.Remove(part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
