package ledger

import (
	"context"
	"errors"
	"time"
)

// Waker is the add-on of engines whose work may come from other machines. A ledger
// without it is polled.
type Waker interface {
	// Wakes delivers the id of a channel soon after some process has made new work
	// for it, this process included. An empty id means any channel: some wake-ups
	// may have been missed, for the connection was lost in between. The same id may
	// come twice, and work may have been taken by somebody else when it comes; no
	// wake-up is a promise, so poll now and then. Read it all the time. It is closed
	// when ctx is done or the ledger closed.
	Wakes(ctx context.Context) (<-chan string, error)
}

// Duty is the add-on by which one of several processes on a ledger does what is to
// be done once: reminders, pruning.
type Duty interface {
	// Hold takes a duty unless another handle has it, and reports whether it is
	// ours. It never waits for the other one. A duty is given back by release, by
	// Close and by the end of the process, however it ends.
	//
	// It can also be lost while we run, with the connection to a server. So ask
	// again before each round of the work: for a duty that this handle has, Hold
	// finds out whether that is still so. Release does nothing if it is not.
	Hold(ctx context.Context, name string) (held bool, release func(), err error)
}

// Pruner is the add-on that drops old history.
type Pruner interface {
	// Prune drops every incident that is resolved, was last updated before a time
	// and has no unsettled delivery, with its updates, renderings, deliveries,
	// attempts and page entries, and nothing else. It may be interrupted at any
	// point: an incident then lacks its first updates, and the next Prune goes on.
	// An update that was dropped is forgotten: its key would be accepted again.
	Prune(ctx context.Context, before time.Time) (Pruned, error)
}

// Pruned is how many of each were dropped.
type Pruned struct {
	Incidents, Updates, Renderings, Deliveries, Attempts, Entries int
}

// Backuper is the add-on of engines that can copy themselves while they are in use.
// (A PostgreSQL server has its own tools for that.)
type Backuper interface {
	// Backup writes the ledger as it is at one moment to a new file, which can be
	// opened as a ledger. It is there whole or not at all, and on disk when the call
	// returns. A file that is there already is fs.ErrExist and stays as it is.
	Backup(ctx context.Context, file string) error
}

// ErrUnderWay says that the ledger is not at rest: an attempt is under way, or an
// update is not wholly written.
var ErrUnderWay = errors.New("work is under way on this ledger")

// ErrReadOnly says that the ledger was opened for reading only.
var ErrReadOnly = errors.New("the ledger is open for reading only")

// ErrNone says that a ledger that is to be read is not there (yet): nothing was ever
// recorded.
var ErrNone = errors.New("there is no ledger yet")

// ErrOlder says that a ledger that is to be read has to be brought up to date first.
var ErrOlder = errors.New("the ledger was written by an older version of sitrep")

// ErrChanged says that a ledger that nobody wrote to when it was opened for reading was
// written to since: open it again.
var ErrChanged = errors.New("the ledger was written to while it was being read")

// ErrNotEmpty says that the ledger to copy into holds something already.
var ErrNotEmpty = errors.New("the ledger to copy into is not empty")
