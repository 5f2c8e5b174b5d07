package postgres

import (
	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// id is that of the i-th delivery that is added.
func (in *intake) id(i int) int64 { return in.upd<<placeBits + in.planned + int64(i) }

// begins is how a delivery begins: pending, or ended before it was ever tried.
func (in *intake) begins(p *ledger.Planned) (o ledger.Outcome, settled int64, detail string) {
	switch {
	case p.Suppressed != "":
		return ledger.Suppressed, in.now, ledger.CleanText(p.Suppressed)
	case in.cancelled:
		return ledger.Cancelled, in.now, calledBack
	}
	return ledger.Pending, 0, ""
}

var copied = []string{
	"id", "incident", "seq", "rendering", "accepted", "due", "expire", "settled", "outcome",
	"channel", "address", "key", "list", "audience", "name", "locale", "zone", "detail",
}

// copy writes many deliveries. The server waits for us while they come, however long
// that takes, so nothing may be held that others wait for.
func (in *intake) copy() error {
	if len(in.added) == 0 {
		return nil
	}
	row := make([]any, len(copied)) // used again for every delivery
	_, err := in.CopyFrom(in.ctx, pgx.Identifier{"deliveries"}, copied, pgx.CopyFromSlice(len(in.added), func(i int) ([]any, error) {
		p := in.added[i]
		outcome, settled, detail := in.begins(p)
		row = append(row[:0], in.id(i), in.incident, int64(in.seq), in.renderings[p.Rendering], in.at, in.at, micros(p.Expire), settled, string(outcome),
			p.Channel, p.To.Address, p.Key, p.List, p.Audience, p.To.Name, p.To.Locale, p.To.Zone, detail)
		return row, nil
	}))
	return twice(err)
}

// taken says that a delivery is there already. Usually somebody has recorded the same
// update at this moment, and the next try finds it.
type taken struct{ detail string }

func (t taken) Error() string { return "a delivery's key is that of another delivery: " + t.detail }

// Is makes it a kind of errAgain.
func (t taken) Is(target error) bool { return target == errAgain }

func twice(err error) error {
	if e := failure(err); e != nil && e.Code == uniqueViolation {
		return taken{e.Detail}
	}
	return err
}

// inserted is how many deliveries one statement writes at most.
const inserted = 1000

// insert writes some deliveries by statements that are on the server as a whole before
// it begins with them: the incident may be held.
func (in *intake) insert() error {
	for from := 0; from < len(in.added); from += inserted {
		if err := in.insertSome(from, min(from+inserted, len(in.added))); err != nil {
			return twice(err)
		}
	}
	return nil
}

func (in *intake) insertSome(from, to int) error {
	var ids, renderings, expire, settled []int64
	var outcomes, names, addresses, keys, lists, audiences, called, locales, zones, details []string
	for i, p := range in.added[from:to] {
		o, s, detail := in.begins(p)
		ids, renderings = append(ids, in.id(from+i)), append(renderings, in.renderings[p.Rendering])
		expire, settled, outcomes = append(expire, micros(p.Expire)), append(settled, s), append(outcomes, string(o))
		names, addresses, keys = append(names, p.Channel), append(addresses, p.To.Address), append(keys, p.Key)
		lists, audiences, called = append(lists, p.List), append(audiences, p.Audience), append(called, p.To.Name)
		locales, zones, details = append(locales, p.To.Locale), append(zones, p.To.Zone), append(details, detail)
	}
	return in.exec(`INSERT INTO deliveries (incident, seq, accepted, due, id, rendering, expire, settled, outcome, channel, address, key, list, audience, name, locale, zone, detail)
		SELECT $1, $2, $3, $3, * FROM unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[],
			$11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])`,
		in.incident, in.seq, in.at, ids, renderings, expire, settled, outcomes, names, addresses, keys, lists, audiences, called, locales, zones, details)
}
