package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"sitrep/ledger"
)

const (
	readers = 4

	// patience is how long another process may hold the file before we give up.
	patience = 15 * time.Second

	// nap is SQLite's own wait for another process, after which we look whether
	// the caller still wants to wait.
	nap = 50 * time.Millisecond
)

// Ledger is an open ledger. It is safe for concurrent use.
type Ledger struct {
	*writer
	read   *sql.DB
	once   sync.Once
	duties duties
	still  os.FileInfo // set if the file may not change while it is read; as it was then
}

var _ ledger.Ledger = (*Ledger)(nil)

// Open opens the ledger in the file at path, making the file and its directory if
// need be. ctx is for the opening only.
func Open(ctx context.Context, path string) (*Ledger, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: find the current directory: %w", err)
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	w, err := openWriter(ctx, path)
	if err != nil {
		return nil, explain(ctx, path, err)
	}
	read, err := sql.Open("sqlite", dsn(path, readPragmas()))
	if err != nil {
		return nil, errors.Join(explain(ctx, path, err), w.close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &Ledger{read: read, writer: w, duties: duties{held: map[string]*duty{}}}, nil
}

// Close waits for a transaction under way, writes out what is still in packs and closes the file. Calls after it fail.
// Closing again does nothing.
func (l *Ledger) Close() error {
	var err error
	l.once.Do(func() {
		l.duties.close()
		err = errors.Join(l.read.Close(), l.writer.close())
	})
	return err
}

func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("the ledger's directory cannot be made: %w; make it, or name another place in the configuration (ledger: sqlite://PATH)", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the ledger cannot be opened for writing: %w; "+
			"give this user the right to write there, or name another place in the configuration (ledger: sqlite://PATH)", err)
	}
	return f.Close()
}

// dsn is the driver's name for the file: a URI, so that no character in a path has a
// meaning. flags are parameters of SQLite's, "mode=ro".
func dsn(path string, pragmas []string, flags ...string) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p
	}
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	for _, f := range flags {
		name, value, _ := strings.Cut(f, "=")
		q.Set(name, value)
	}
	return (&url.URL{Scheme: "file", Path: p, RawQuery: q.Encode()}).String()
}

func writePragmas() []string {
	return []string{
		"busy_timeout(" + strconv.FormatInt(nap.Milliseconds(), 10) + ")",
		"journal_mode(wal)",
		"synchronous(full)",
		"foreign_keys(1)",
		"automatic_index(0)",
		"cache_size(-8000)",
		"journal_size_limit(67108864)",
		"temp_store(memory)",
	}
}

func readPragmas() []string {
	// Without automatic_index(0) SQLite may index all of history for one query.
	return []string{"busy_timeout(10000)", "query_only(1)", "temp_store(memory)", "automatic_index(0)"}
}

// micros is how a time is stored; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
