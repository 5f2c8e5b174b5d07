package postgres

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

// filter builds a WHERE clause out of what a query asks for.
type filter struct {
	terms []string
	args  []any
}

// add appends a term, if wanted, whose question marks stand for args.
func (f *filter) add(wanted bool, term string, args ...any) {
	if wanted {
		f.terms = append(f.terms, f.number(term, args...))
	}
}

// number turns question marks into the numbers of args, which it appends.
func (f *filter) number(term string, args ...any) string {
	for _, a := range args {
		f.args = append(f.args, a)
		term = strings.Replace(term, "?", "$"+strconv.Itoa(len(f.args)), 1)
	}
	return term
}

// String is the clause, with a leading space, or nothing.
func (f *filter) String() string {
	if len(f.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.terms, " AND ")
}

// limit is a LIMIT clause, or none.
func limit(n int) string {
	if n <= 0 {
		return ""
	}
	return " LIMIT " + strconv.Itoa(n)
}

const incidentColumns = `SELECT id, customer, severity, started, status, seq, updated, next FROM incidents`

func scanIncident(rows pgx.Rows) (ledger.Incident, error) {
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
	err := l.query(ctx, incidentColumns+f.String()+` ORDER BY updated DESC, n DESC`+limit(q.Limit), f.args, func(rows pgx.Rows) error {
		i, err := scanIncident(rows)
		all = append(all, i)
		return err
	})
	return all, err
}

const (
	updateColumns = `SELECT u.n, u.incident, u.key, i.id, u.customer, u.seq, u.status, u.at, u.accepted, u.next, u.title, u.override, u.source, u.content, coalesce(x.remaining, 0)`
	updateTables  = ` FROM updates u JOIN incidents i ON i.n = u.incident LEFT JOIN expansions x ON x.upd = u.n`
)

// scanUpdate reads a row of updateColumns, and more after them.
func scanUpdate(rows pgx.Rows, n, incident *int64, more ...any) (ledger.Update, error) {
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
	f.add(len(q.Key) >= shortest, `(u.key = ? OR (u.key >= ? AND starts_with(u.key, ?)
		AND NOT EXISTS (SELECT 1 FROM updates e WHERE e.key = ?)))`, q.Key, q.Key, q.Key, q.Key)
	f.add(q.Incident != "", "u.incident = (SELECT n FROM incidents WHERE id = ?)", q.Incident)
	f.add(q.Customer != "", "u.customer = ?", q.Customer)
	f.add(q.Before != "", "u.n < (SELECT n FROM updates WHERE key = ? AND ? IN ('', customer))", q.Before, q.Customer)
	var all []ledger.Update
	err := l.query(ctx, updateColumns+updateTables+f.String()+` ORDER BY u.n DESC`+limit(q.Limit), f.args, func(rows pgx.Rows) error {
		u, err := scanUpdate(rows, new(int64), new(int64))
		all = append(all, u)
		return err
	})
	return all, err
}

// Rendering implements [ledger.Queue].
func (l *Ledger) Rendering(ctx context.Context, id int64) (channels.Message, error) {
	var m channels.Message
	var format string
	err := l.one(ctx, `SELECT format, subject, text, html, payload FROM renderings WHERE id = $1`, []any{id},
		[]any{&format, &m.Subject, &m.Text, &m.HTML, &m.Payload})
	m.Format = channels.Format(format)
	return m, err
}

const attemptColumns = `SELECT a.number, a.fault, a.interrupted, a.detail, a.started, a.ended`

// scanAttempt reads a row of attemptColumns, and more after them.
func scanAttempt(rows pgx.Rows, more ...any) (ledger.Attempt, error) {
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
	err := l.query(ctx, attemptColumns+` FROM attempts a WHERE a.delivery = (SELECT id FROM deliveries WHERE key = $1) ORDER BY a.number`,
		[]any{delivery}, func(rows pgx.Rows) error {
			a, err := scanAttempt(rows)
			all = append(all, a)
			return err
		})
	return all, err
}
