package sqlite

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// claimablePacks are the packs of which this handle may claim, for r, and when the first
// lease on any of the channel's packs ends, or 0. Where somebody else may have a right to
// claim, or an attempt was interrupted, or this handle knows nothing of it, the pack is
// unpacked.
func (t *tx) claimablePacks(r ledger.ClaimRequest, now int64) (all []packRow, end int64, err error) {
	rows, err := t.packRows(`channel = ? AND ? IN ('', (SELECT id FROM incidents i WHERE i.n = packs.incident))`, r.Channel, r.Incident)
	if err != nil {
		return nil, 0, err
	}
	for _, p := range rows {
		if p.settled == p.count {
			continue
		}
		lapsed := p.underWay() > 0 && p.until <= now
		if p.begun < p.count && (t.mine(&p) == nil || p.underWay() > 0 && p.owner != r.Owner) || lapsed {
			if err := t.unpack([]packRow{p}); err != nil {
				return nil, 0, err
			}
			continue
		}
		if p.underWay() > 0 {
			end = sooner(end, p.until)
		}
		all = append(all, p)
	}
	return all, end, nil
}

// withPacked adds what may be claimed of packs to rows, in the order in which it is due,
// limit of them at most.
func withPacked(rows []found, packs []packRow, limit int) []found {
	slices.SortFunc(packs, func(a, b packRow) int {
		return cmp.Or(cmp.Compare(a.accepted, b.accepted), cmp.Compare(a.first, b.first))
	})
	old := len(rows)
	for i := range packs {
		p := &packs[i]
		for n := p.begun; n < p.count && len(rows)-old < limit; n++ {
			rows = append(rows, found{id: p.first + int64(n), upd: p.upd, due: p.accepted, pack: p})
		}
	}
	if 0 < old && old < len(rows) {
		slices.SortFunc(rows, func(a, b found) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) })
	}
	return rows[:min(len(rows), limit)]
}

// begin claims those of a pack that follow one another from the first unclaimed one on.
func (t *tx) begin(p *packRow, claims []ledger.Claim, r ledger.ClaimRequest) error {
	m := t.mine(p)
	c, err := t.contentOf(p, m)
	if err != nil {
		return err
	}
	for i := range claims {
		c.claim(p, p.begun+i, &claims[i])
	}
	if err := t.threads(p, claims); err != nil {
		return err
	}
	was, to := p.begun, p.begun+len(claims)
	_, err = t.exec(`UPDATE packs SET begun = ?, owner = ?, since = max(since, ?), until = iif(begun = settled, ?5, max(until, ?5)) WHERE first = ?4`,
		to, r.Owner, micros(r.Now), p.first, micros(r.Until))
	if err != nil {
		return err
	}
	m.begun, m.touched = to, time.Now()
	t.onUndo(func() { m.begun = was })
	return t.noted(p.first, encodeClaimed(was, to, micros(r.Now)))
}

// contentOf reads who a pack is for, unless that is in memory.
func (t *tx) contentOf(p *packRow, m *pack) (content, error) {
	if m != nil && m.content.places != nil {
		return m.content, nil
	}
	var c content
	bad := errPack // if it is not there
	err := t.each(`SELECT payload FROM pack_contents WHERE first = ?`, []any{p.first}, func(rows *sql.Rows) error {
		var b sql.RawBytes
		if err := rows.Scan(&b); err != nil {
			return err
		}
		c, bad = decodeContent(b, p.count)
		return nil
	})
	if err == nil {
		err = bad
	}
	if err == nil && m != nil {
		m.content = c
	}
	return c, err
}

// claim is the claim of one of a pack, but for who claims it and of which update it is.
func (c *content) claim(p *packRow, i int, into *ledger.Claim) {
	k := &c.classes[c.places[i].class]
	*into = ledger.Claim{
		Key: c.places[i].key, To: c.to(i), Rendering: k.rendering, List: k.list, Audience: k.audience,
		Seq: p.seq, Accepted: instant(p.accepted), Expire: instant(k.expire),
	}
}

// threads finds the threads of the latest updates that were delivered to those before.
func (t *tx) threads(p *packRow, claims []ledger.Claim) error {
	if p.seq == 1 {
		return nil
	}
	addresses := make([]string, len(claims))
	for i := range claims {
		addresses[i] = claims[i].To.Address
	}
	b, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	return t.each(`SELECT j.key, o.thread FROM json_each(?) j CROSS JOIN deliveries o ON o.id = (SELECT d.id FROM deliveries d
			WHERE d.incident = ? AND d.channel = ? AND d.address = j.value AND d.seq < ? AND d.outcome = 'delivered' ORDER BY d.seq DESC LIMIT 1)`,
		[]any{string(b), p.incident, p.channel, p.seq}, func(rows *sql.Rows) error {
			var i int
			var thread string
			err := rows.Scan(&i, &thread)
			claims[i].Thread = channels.Thread(thread)
			return err
		})
}
