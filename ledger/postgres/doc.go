// Package postgres is the ledger on a PostgreSQL server (13 or later), for any number
// of replicas of the program on any number of machines.
//
// # What it promises
//
//   - Everything of [sitrep/ledger] across all processes on the database, and the
//     add-ons Waker, Duty, Pruner, Exporter, Importer, Canceller, Changes, Tokens,
//     Drafts, Expander and Bouncer.
//   - What was accepted or settled is on the server's disk before the call returns:
//     synchronous_commit is on, whatever the database's default.
//   - The schema is brought up to date when the ledger is opened, by one process at
//     a time; one of a newer version is refused and left alone. There is no way back,
//     so all replicas are replaced at once: one that is left over from an older version
//     would not write the change feed. Tables are made in the first schema of the
//     search path.
//   - A process that stops at any point, for however long, keeps the others from
//     claiming and settling for at most a moment, and from what concerns the same
//     incident for a few seconds, which is less than a lease.
//   - A handle for reading only ([OpenReadOnly]) writes nothing and does with a standby.
//   - When the server goes away, calls fail soon and say so; they work again when it
//     is back, with nothing to be done here. A commit whose answer was lost may have
//     happened: an update accepted again by its key is then a duplicate.
//   - Errors say what happened on which server and what to do. The password is in
//     none of them, nor is the rest of the address.
//
// The connections must reach one server session each: a pooler in front of it must
// pool sessions, not transactions, for duties and wake-ups belong to sessions.
//
// # How it works
//
// Statements run at READ COMMITTED and follow one rule: lock, then look. Whoever
// changes a delivery locks its row first and reads what it decides on in a later
// statement, which sees what the former holder of the lock committed. Locks are
// taken in one order, so that nobody waits in a circle: the incident, its deliveries
// by id, leases, counts by update, the end of the change feed. Claims never wait for
// a delivery: they skip what somebody else has locked (FOR UPDATE SKIP LOCKED).
//
// Acceptance holds its incident, and so does a settlement that asks for a retry:
// that is how either sees the other's side of supersession. Neither holds anything
// else while it waits for that.
//
// A claim and a settlement are one function call each, and so one statement: their
// locks end with it, whatever becomes of the caller. Everything else sends what others
// wait for (counts, the change feed) together with its COMMIT, holds at most its
// incident and deliveries before, and is ended by the server when it idles
// (idle_in_transaction_session_timeout). While a settlement waits for one of those
// its leases are free to be renewed.
//
// The deliveries of a new update are copied in before its incident is taken, for the
// server waits for the client then, and no timeout would end that.
//
// A claim writes only a lease, a narrow row beside the delivery; the wide row is
// written when it is accepted and when it is settled.
package postgres
