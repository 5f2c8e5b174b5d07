package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// PostgreSQL's error codes: https://www.postgresql.org/docs/current/errcodes-appendix.html.
const (
	uniqueViolation   = "23505"
	serializationFail = "40001"
	deadlockDetected  = "40P01"
	idleInTransaction = "25P03"
	noSuchRow         = "23503" // that a foreign key refers to
	undefinedTable    = "42P01"
)

// failure is PostgreSQL's own report in err's chain, or nil.
func failure(err error) *pgconn.PgError {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return nil
	}
	return e
}

// explain says what an error of the server's, or of the way to it, means and what to
// do about it. Anything else is returned as it is, and the caller's own context error
// alone.
func explain(ctx context.Context, where string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e := failure(err); e != nil {
		what, remedy := meaning(e.Code)
		if what == "" {
			return fmt.Errorf("ledger %s: %s (SQLSTATE %s)", where, e.Message, e.Code)
		}
		return fmt.Errorf("the ledger %s %s; %s (%s, SQLSTATE %s)", where, what, remedy, e.Message, e.Code)
	}
	if why, ok := unreachable(err); ok {
		return fmt.Errorf("the ledger %s cannot be reached: %s; nothing is known to be recorded: "+
			"check that the server runs and that its address in the configuration (ledger: postgres://…) is right, and try again", where, why)
	}
	return err
}

func meaning(code string) (what, remedy string) {
	switch code {
	case "28P01", "28000":
		return "did not let us in", "check the user and the password in its address, PGPASSWORD or ~/.pgpass, and the server's pg_hba.conf"
	case "3D000":
		return "is not there", "make the database (createdb), or correct its name in the configuration (ledger: postgres://…)"
	case "25006":
		return "can only be read", "nothing was recorded: connect to the primary server, not to a standby (target_session_attrs=read-write), " +
			"and check default_transaction_read_only"
	case "42501":
		return "does not permit what we need", "give this user the right to make and use tables in the database's first schema"
	case "53100":
		return "could not be written because the server's disk is full", "nothing was recorded: free some space there and try again"
	case "53300", "53400":
		return "has no connection to spare", "nothing was recorded: raise max_connections on the server, or lower pool_max_conns in the address"
	case "54000":
		return "cannot hold a name, key or address as long as one of these", "nothing was recorded: shorten it to less than 2,600 bytes"
	case "55P03":
		return "has been held by another process for too long", "nothing was recorded: look for a long transaction in pg_stat_activity, or try again"
	case "57P01", "57P02", "57P03", "25P03", "57P05":
		return "is being stopped or started, or has ended our session", "nothing was recorded: try again"
	case "58030", "XX001", "XX002":
		return "could not be read or written because the server's disk reported an error", "check the server's log and its disk"
	}
	return "", ""
}

// unreachable reports whether err is of the connection, and why in words that hold
// nothing of the address.
func unreachable(err error) (string, bool) {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return "its name could not be found (" + e.Err + ")", true
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		if e.Timeout() {
			return "it does not answer", true
		}
		return e.Err.Error(), true
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case connecting && (pgconn.Timeout(err) || errors.Is(err, context.DeadlineExceeded)):
		return "it does not answer", true
	case connecting && strings.Contains(err.Error(), "tls"), connecting && strings.Contains(err.Error(), "x509"):
		return "no secure connection could be made (see sslmode and sslrootcert of its address)", true
	case connecting:
		return "the connection could not be made", true
	case isCut(err):
		return "the connection was cut", true
	}
	return "", false
}

// isCut reports whether the server went away in the middle of a call.
func isCut(err error) bool {
	text := err.Error()
	for _, part := range []string{"unexpected EOF", "conn closed", "conn lock", "broken pipe", "connection reset", "failed to receive message", "timeout:"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
