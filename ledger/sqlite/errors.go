package sqlite

import (
	"context"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// code is SQLite's primary result code in err's chain, or 0. The codes are those of
// https://www.sqlite.org/rescode.html.
func code(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

func isBusy(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}

// explain says what an error of SQLite's means for this file and what to do about
// it. Anything else is returned as it is, and the caller's own context error alone.
func explain(ctx context.Context, path string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errPack) {
		return fmt.Errorf("the ledger %s is damaged, or a newer version wrote to it; use that version, or stop sitrep and restore the file from a backup (%w)", path, err)
	}
	c := code(err)
	if c == 0 {
		return err
	}
	what, remedy := meaning(c)
	if what == "" {
		return fmt.Errorf("ledger %s: %w", path, err)
	}
	return fmt.Errorf("the ledger %s %s; %s (%w)", path, what, remedy, err)
}

// errMoved says that the file is no longer where we opened it. SQLite would go on
// writing to it wherever it is now, and the next process would start an empty one.
func errMoved(path string) error {
	return fmt.Errorf("the ledger %s was moved, deleted or replaced while it was in use; nothing was recorded: put it back, or start sitrep again", path)
}

func meaning(code int) (what, remedy string) {
	switch code {
	case sqlite3.SQLITE_FULL:
		return "could not be written because the disk is full", "nothing was recorded: free some space and try again"
	case sqlite3.SQLITE_READONLY:
		return "cannot be written", "check the rights of the file and its directory, and that the disk is not mounted read-only"
	case sqlite3.SQLITE_NOTADB:
		return "is a file of some other kind", "name another place in the configuration (ledger: sqlite://PATH); this file was left as it is"
	case sqlite3.SQLITE_CORRUPT:
		return "is damaged", "stop sitrep and restore the file from a backup, or save what can be read with: sqlite3 FILE .recover"
	case sqlite3.SQLITE_CANTOPEN:
		return "cannot be opened", "check that its directory exists and that this user may write there"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Sprintf("has been held by another process for %v", patience), "nothing was recorded: end that process, or try again"
	case sqlite3.SQLITE_IOERR:
		return "could not be read or written because the disk reported an error", "nothing was recorded: check the disk (dmesg, free space, quota)"
	}
	return "", ""
}
