package sqlite

import (
	"crypto/rand"
	"database/sql"
	"slices"
	"time"
)

// A pack is deliveries of one update and channel that were accepted together, as one row
// for all of them. Most deliveries are sent at once and arrive at the first attempt: to
// write each of them down, lease it and settle it in rows of its own costs more than to
// send it. So of a pack it is written
//
//	when it is made     who they are for (packcode.go), and one row; see packmake.go
//	when some are       how many have been claimed, from the first one on, and
//	claimed             when (packclaim.go)
//	when some are       which have been delivered, and what the remote side said
//	settled             (packsettle.go); of what becomes of others it is written
//	                    that they have a row of their own now
//	when somebody wants all of it as rows, as if there had never been a pack
//	them one by one     (unpack.go)
//
// All of it is as durable as a row, and has the same right and order of claims. Whoever
// reads deliveries, or changes them in any other way, unpacks first; so does Close, and so
// does the handle that made a pack, after a second or a few.
//
// What keeps this simple:
//
//   - Only the handle that made a pack changes it. Another one, or this one if it has
//     forgotten the pack, unpacks it before it claims or settles any of it.
//   - A pack is of the latest update of its incident, and no older update of the incident
//     is unfinished. So none of its deliveries ever has to wait for another one, supersedes
//     another one or is superseded. Whatever would change that unpacks first.
//   - The last delivery of a pack has a row from the beginning, so that SQLite gives its
//     id, and those before it, to nothing else.
const (
	// Fewer deliveries are not worth a pack.
	packLeast = 64
	// More would keep others waiting for long while it is unpacked.
	packMost = 2048
	// No more packs than these wait to be unpacked, so that nobody who reads has to wait
	// for it much longer than half a second.
	packsMost = 100
	// A pack is unpacked when nobody has touched it for packRest, and when it is packLife
	// old in any case: whoever reads through a read-only handle does not see it before.
	packRest = time.Second
	packLife = 5 * time.Second
)

// packs is what a handle remembers of the packs it made. It is used only by whoever has
// the turn to write, and what a transaction has changed here is taken back with it.
type packs struct {
	made  string // names this handle
	least int    // see packLeast
	all   map[int64]*pack
	told  map[int64]*told // by update: those whose recipients are all known here
	seen  int64           // see heed

	later bool // they are looked at after a while
	timer *time.Timer
}

func newPacks() packs {
	return packs{made: rand.Text(), least: packLeast, all: map[int64]*pack{}, told: map[int64]*told{}}
}

// pack is what is remembered of one.
type pack struct {
	begun   int
	settled int
	done    []bool  // by place: it is settled
	content content // empty: not read, or not needed any more

	born, touched time.Time
}

// due is when it is to be unpacked.
func (p *pack) due() time.Time {
	rest, life := p.touched.Add(packRest), p.born.Add(packLife)
	if life.Before(rest) {
		return life
	}
	return rest
}

// packRow is a row of packs.
type packRow struct {
	first         int64
	count         int
	made          string
	upd, incident int64
	seq           int
	channel       string
	accepted      int64
	begun         int
	settled       int
	owner         string
	until         int64
}

func (r *packRow) has(id int64) bool { return r.first <= id && id < r.first+int64(r.count) }

// underWay is how many are claimed and not settled.
func (r *packRow) underWay() int { return r.begun - r.settled }

// packRows are those that a condition picks.
func (t *tx) packRows(where string, args ...any) ([]packRow, error) {
	var all []packRow
	err := t.each(`SELECT first, count, made, upd, incident, seq, channel, accepted, begun, settled, owner, until
		FROM packs WHERE `+where+` ORDER BY first`, args, func(rows *sql.Rows) error {
		var r packRow
		err := rows.Scan(&r.first, &r.count, &r.made, &r.upd, &r.incident, &r.seq, &r.channel, &r.accepted, &r.begun, &r.settled, &r.owner, &r.until)
		all = append(all, r)
		return err
	})
	return all, err
}

// mine is what this handle remembers of a pack, or nil if it made none like it.
func (t *tx) mine(r *packRow) *pack {
	p := t.w.packs.all[r.first]
	if p == nil || r.made != t.w.packs.made || len(p.done) != r.count || p.begun != r.begun || p.settled != r.settled {
		return nil
	}
	return p
}

// noted puts on record what became of some of a pack.
func (t *tx) noted(first int64, entry []byte) error {
	_, err := t.exec(`INSERT INTO pack_log (pack, payload) VALUES (?,?)`, first, entry)
	return err
}

// onUndo has f take back what was changed in memory, if the transaction is.
func (t *tx) onUndo(f func()) { t.back = append(t.back, f) }

// takeBack runs them, the last one first.
func takeBack(back []func()) {
	for _, f := range slices.Backward(back) {
		f()
	}
}
