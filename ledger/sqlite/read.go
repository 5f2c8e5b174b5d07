package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"sitrep/channels"
	"sitrep/ledger"
)

// query reads rows outside the writer.
func (l *Ledger) query(ctx context.Context, query string, args []any, use func(*sql.Rows) error) error {
	rows, err := l.read.QueryContext(ctx, query, args...)
	if err != nil {
		return explain(ctx, l.path, err)
	}
	return explain(ctx, l.path, errors.Join(drain(rows, use), l.unchanged()))
}

// inOneMoment has everything that is read in use be of the same moment.
func (l *Ledger) inOneMoment(ctx context.Context, use func(*sql.Conn) error) (err error) {
	conn, err := l.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "BEGIN DEFERRED"); err != nil {
		return err
	}
	defer func() {
		_, end := conn.ExecContext(context.Background(), "ROLLBACK")
		err = errors.Join(err, end)
	}()
	return use(conn)
}

// filter builds a WHERE clause out of what a query asks for.
type filter struct {
	terms []string
	args  []any
}

// add appends a term whose placeholders args fill, if wanted.
func (f *filter) add(wanted bool, term string, args ...any) {
	if wanted {
		f.terms = append(f.terms, term)
		f.args = append(f.args, args...)
	}
}

// String is the clause, with a leading space, or nothing.
func (f *filter) String() string {
	if len(f.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.terms, " AND ")
}

// limit is n as SQLite wants it: a negative one is none.
func limit(n int) int {
	if n <= 0 {
		return -1
	}
	return n
}

const incidentColumns = `SELECT id, customer, severity, started, status, seq, updated, next FROM incidents`

func scanIncident(rows *sql.Rows) (ledger.Incident, error) {
	var i ledger.Incident
	var started, updated, next int64
	err := rows.Scan(&i.ID, &i.Customer, &i.Severity, &started, &i.Status, &i.Seq, &updated, &next)
	i.Started, i.Updated, i.Next = instant(started), instant(updated), instant(next)
	return i, err
}

// Incidents implements [ledger.Reader].
func (l *Ledger) Incidents(ctx context.Context, q ledger.IncidentQuery) ([]ledger.Incident, error) {
	var f filter
	f.add(q.ID != "", "id = ?", q.ID)
	f.add(q.Customer != "", "customer = ?", q.Customer)
	f.add(q.Open, "status <> 'resolved'")
	var all []ledger.Incident
	err := l.query(ctx, incidentColumns+f.String()+` ORDER BY updated DESC, n DESC LIMIT ?`, append(f.args, limit(q.Limit)), func(rows *sql.Rows) error {
		i, err := scanIncident(rows)
		all = append(all, i)
		return err
	})
	return all, err
}

const (
	updateColumns = `SELECT u.n, u.incident, u.key, i.id, u.customer, u.seq, u.status, u.at, u.accepted, u.next, u.title, u.override, u.source, u.content,
		coalesce(x.remaining, 0)`
	packedColumn = `, coalesce((SELECT sum(p.count - (SELECT count(*) FROM deliveries d WHERE d.id >= p.first AND d.id < p.first + p.count))
		FROM packs p WHERE p.upd = u.n), 0)`
	updateTables = ` FROM updates u JOIN incidents i ON i.n = u.incident LEFT JOIN expansions x ON x.upd = u.n`
)

// scanUpdate reads a row of updateColumns, and more after them.
func scanUpdate(rows *sql.Rows, n, incident *int64, more ...any) (ledger.Update, error) {
	var u ledger.Update
	var at, accepted, next int64
	var content []byte
	err := rows.Scan(append([]any{
		n, incident, &u.Key, &u.Incident, &u.Customer, &u.Seq, &u.Status, &at, &accepted, &next,
		&u.Title, &u.Override, &u.Source, &content, &u.Unwritten,
	}, more...)...)
	u.At, u.Accepted, u.Next, u.Content = instant(at), instant(accepted), instant(next), json.RawMessage(content)
	return u, err
}

// shortest is how much of a key must be given for its beginning to do.
const shortest = 6

// Updates implements [ledger.Reader]. Where a key is also the beginning of others,
// it means itself.
func (l *Ledger) Updates(ctx context.Context, q ledger.UpdateQuery) ([]ledger.Update, error) {
	var f filter
	f.add(q.Key != "" && len(q.Key) < shortest, "u.key = ?", q.Key)
	f.add(len(q.Key) >= shortest, `(u.key = ? OR (u.key >= ? AND substr(u.key, 1, length(?)) = ?
		AND NOT EXISTS (SELECT 1 FROM updates e WHERE e.key = ?)))`, q.Key, q.Key, q.Key, q.Key, q.Key)
	f.add(q.Incident != "", "i.id = ?", q.Incident)
	f.add(q.Customer != "", "u.customer = ?", q.Customer)
	f.add(q.Before != "", "u.n < (SELECT n FROM updates WHERE key = ? AND ? IN ('', customer))", q.Before, q.Customer)
	var all []ledger.Update
	err := l.query(ctx, updateColumns+packedColumn+updateTables+f.String()+` ORDER BY u.n DESC LIMIT ?`, append(f.args, limit(q.Limit)), func(rows *sql.Rows) error {
		packed := 0
		u, err := scanUpdate(rows, new(int64), new(int64), &packed)
		if l.readOnly { // nobody unpacks them here
			u.Unwritten += packed
		}
		all = append(all, u)
		return err
	})
	return all, err
}

// Rendering implements [ledger.Queue].
func (l *Ledger) Rendering(ctx context.Context, id int64) (channels.Message, error) {
	var m channels.Message
	found := false
	err := l.query(ctx, `SELECT format, subject, text, html, payload FROM renderings WHERE id = ?`, []any{id}, func(rows *sql.Rows) error {
		found = true
		var format string
		err := rows.Scan(&format, &m.Subject, &m.Text, &m.HTML, &m.Payload)
		m.Format = channels.Format(format)
		return err
	})
	if err == nil && !found {
		err = ledger.ErrNotFound
	}
	return m, err
}

const attemptColumns = `SELECT a.number, a.fault, a.interrupted, a.detail, a.started, a.ended`

// scanAttempt reads a row of attemptColumns, and more after them.
func scanAttempt(rows *sql.Rows, more ...any) (ledger.Attempt, error) {
	var a ledger.Attempt
	var fault string
	var started, ended int64
	err := rows.Scan(append([]any{&a.Number, &fault, &a.Interrupted, &a.Detail, &started, &ended}, more...)...)
	a.Fault, a.Started, a.Ended = channels.Fault(fault), instant(started), instant(ended)
	return a, err
}

// Attempts implements [ledger.Reader].
func (l *Ledger) Attempts(ctx context.Context, delivery string) ([]ledger.Attempt, error) {
	var all []ledger.Attempt
	err := l.whole(ctx, attemptColumns+` FROM attempts a WHERE a.delivery = (SELECT id FROM deliveries WHERE key = ?) ORDER BY a.number`, []any{delivery}, func(rows *sql.Rows) error {
		a, err := scanAttempt(rows)
		all = append(all, a)
		return err
	})
	return all, err
}

// one reads a single row into dest, or is ErrNotFound.
func (l *Ledger) one(ctx context.Context, query string, args, dest []any) error {
	err := l.read.QueryRowContext(ctx, query, args...).Scan(dest...)
	none := errors.Is(err, sql.ErrNoRows)
	if none {
		err = nil
	}
	if err = errors.Join(err, l.unchanged()); none && err == nil {
		return ledger.ErrNotFound
	}
	return explain(ctx, l.path, err)
}
