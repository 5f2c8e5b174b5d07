// Package sqlite is the ledger on one machine: a SQLite file, no server.
//
// # What it promises
//
//   - Everything of [sitrep/ledger], by several goroutines and several processes on
//     one machine. The file must be on a local disk: SQLite's write-ahead log does
//     not work over a network file system.
//   - What was accepted or settled survives power loss: every commit is on disk
//     (fsync) before the call returns.
//   - The file is made with mode 0600 and its directory with 0700, for updates hold
//     what customers must not see. Rights that are there already stay as they are.
//   - A file of a newer version is refused and left alone; an older one is brought
//     up to date when it is opened. There is no way back.
//   - A handle for reading only ([OpenReadOnly]) touches nothing.
//   - Errors say what happened to which file and what to do. When a call fails,
//     nothing of it was recorded.
//
// # How it works
//
// One connection writes. Callers who wait for it are served together, in the order they
// came, and share one commit and its flush of the disk; what each of them writes is whole
// or not there, whatever becomes of the others (group.go). Waiting ends with the caller's
// context. A few other connections read and are never in the way of the writer.
//
// A claim writes only a lease, a narrow row beside the delivery, so that the wide
// row and its indexes are written twice in a delivery's life: when it is accepted
// and when it is settled. Settled deliveries leave the queue's index, so claims and
// counts of what is pending do not grow slower with the years.
//
// Deliveries are added and settled many by one statement. Those of a large update are
// not even that: for their first seconds many of them are one row, a pack, and a log of
// what becomes of them, until somebody wants them one by one (pack.go). That is for speed
// alone, and nobody can tell but by the time it takes. There are two exceptions. A read-only
// handle, which must not write them out, counts them as unwritten until then. And who reads
// deliveries while there are packs writes: it needs room on the disk, and waits for another
// process that holds the file.
//
// An update that is not wholly written counts one pending delivery that does not exist.
// So it is among the unfinished updates, which are all that a claim looks at to find
// out whether a delivery has to wait, and an ordinary claim pays nothing for it.
//
// Every transaction writes its own part of the change feed, all of it at its end.
package sqlite
