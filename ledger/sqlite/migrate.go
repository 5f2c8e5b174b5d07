package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// ErrNewer says that the file was written by a newer version of the program.
var ErrNewer = errors.New("the ledger was written by a newer version of sitrep")

// settleSchema brings the file's schema up to date. Another process may be doing the
// same at this moment: then one of the two fails, looks again and finds it done.
func settleSchema(ctx context.Context, path string, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithTableName("sitrep_schema"))
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; {
		more, err := migrate(ctx, path, p)
		if err == nil || !more || time.Now().After(end) {
			return err
		}
		if err := pause(ctx, nap); err != nil {
			return err
		}
	}
}

// migrate tries once and reports whether it is worth trying again after an error.
func migrate(ctx context.Context, path string, p *goose.Provider) (more bool, err error) {
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return isBusy(err), err
	}
	if have > want {
		return false, tooNew(path, int(have), int(want))
	}
	if have == want {
		return false, nil
	}
	if _, err := p.Up(ctx); err != nil {
		now, _, again := p.GetVersions(ctx)
		return isBusy(err) || (again == nil && now > have), err
	}
	return false, nil
}

func tooNew(path string, have, want int) error {
	return fmt.Errorf("%w: %s has schema %d, this one knows %d; use that version or a newer one, and see: sitrep version", ErrNewer, path, have, want)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
