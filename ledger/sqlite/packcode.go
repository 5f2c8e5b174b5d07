package sqlite

import (
	"encoding/binary"
	"errors"

	"sitrep/channels"
	"sitrep/internal/blob"
	"sitrep/ledger"
)

// The content of a pack is
//
//	version (1)
//	of each delivery
//	    its class: a number; the next unused one is defined here:
//	        rendering (id), expire, list, audience, locale, zone
//	    key, address, name
//
// and an entry of its log is one of
//
//	1, from, to, since      a claim of the places from (included) to (excluded)
//	2, then of each: place, ended, remote id, permalink, thread     delivered
//	3, then of each: place  it has a row of its own
//
// Numbers are varints, words have their length before them, and times are microseconds
// since 1970.
const packVersion = 1

// The kinds of entries.
const (
	entryClaimed   = 1
	entryDelivered = 2
	entryRow       = 3
)

var errPack = errors.New("deliveries that were written together cannot be read")

// class is what most deliveries of a pack have in common.
type class struct {
	rendering, expire            int64
	list, audience, locale, zone string
}

// content is who the deliveries of a pack are for.
type content struct {
	classes []class
	places  []place
}

type place struct {
	class              int
	key, address, name string
}

// encodeContent is the content of deliveries whose renderings have these ids.
func encodeContent(all []ledger.Planned, renderings []int64) []byte {
	b := append(make([]byte, 0, 96*len(all)+64), packVersion)
	numbers := make(map[class]uint64, 4)
	var last class
	var n uint64
	for i := range all {
		p := &all[i]
		c := class{renderings[p.Rendering], micros(p.Expire), p.List, p.Audience, p.To.Locale, p.To.Zone}
		known := i > 0 && c == last
		if !known {
			if n, known = numbers[c]; !known {
				n = uint64(len(numbers))
				numbers[c] = n
			}
			last = c
		}
		b = binary.AppendUvarint(b, n)
		if !known {
			b = c.encode(b)
		}
		b = blob.AppendText(blob.AppendText(blob.AppendText(b, p.Key), p.To.Address), p.To.Name)
	}
	return b
}

func (c class) encode(b []byte) []byte {
	b = binary.AppendVarint(binary.AppendVarint(b, c.rendering), c.expire)
	for _, s := range [...]string{c.list, c.audience, c.locale, c.zone} {
		b = blob.AppendText(b, s)
	}
	return b
}

// decodeContent reads the content of a pack of so many deliveries.
func decodeContent(b []byte, count int) (content, error) {
	d := blob.NewReader(b)
	var c content
	if d.Number(packVersion) != packVersion || count < 0 {
		return c, errPack
	}
	c.places = make([]place, 0, min(count, len(b)))
	for d.Len() > 0 {
		n := d.Number(len(c.classes))
		if n == len(c.classes) && !d.Bad() {
			c.classes = append(c.classes, class{d.Signed(), d.Signed(), d.Text(), d.Text(), d.Text(), d.Text()})
		}
		c.places = append(c.places, place{class: n, key: d.Text(), address: d.Text(), name: d.Text()})
	}
	if d.Bad() || len(c.places) != count {
		return content{}, errPack
	}
	return c, nil
}

func (c *content) to(i int) channels.Recipient {
	p := &c.places[i]
	return channels.Recipient{Address: p.address, Name: p.name, Locale: c.classes[p.class].locale, Zone: c.classes[p.class].zone}
}

func encodeClaimed(from, to int, since int64) []byte {
	b := binary.AppendUvarint([]byte{entryClaimed}, uint64(from)) //nolint:gosec // not negative
	b = binary.AppendUvarint(b, uint64(to))                       //nolint:gosec // not negative
	return binary.AppendVarint(b, since)
}

func appendDelivered(b []byte, place int, s *ledger.Settlement) []byte {
	b = binary.AppendUvarint(b, uint64(place)) //nolint:gosec // not negative
	b = binary.AppendVarint(b, micros(s.Ended))
	return blob.AppendText(blob.AppendText(blob.AppendText(b, s.Receipt.RemoteID), s.Receipt.Permalink), string(s.Receipt.Thread))
}

func appendPlace(b []byte, place int) []byte {
	return binary.AppendUvarint(b, uint64(place)) //nolint:gosec // not negative
}

// fate is what became of a place: nothing yet, under way since then, delivered, or it has a
// row of its own.
type fate struct {
	kind                      byte // of the last entry about it, or 0
	at                        int64
	remote, permalink, thread string
}

// replay reads an entry into fates.
func replay(entry []byte, fates []fate) error {
	d := blob.NewReader(entry)
	switch kind := d.Number(entryRow); kind {
	case entryClaimed:
		from, to, since := d.Number(len(fates)), d.Number(len(fates)), d.Signed()
		if d.Len() > 0 || from > to {
			d.Fail()
		}
		for i := from; i < to && !d.Bad(); i++ {
			fates[i] = fate{kind: entryClaimed, at: since}
		}
	case entryDelivered, entryRow:
		for d.Len() > 0 {
			n := d.Number(len(fates) - 1)
			f := fate{kind: byte(kind)} //nolint:gosec // it is at most entryRow
			if kind == entryDelivered {
				f.at, f.remote, f.permalink, f.thread = d.Signed(), d.Text(), d.Text(), d.Text()
			}
			if !d.Bad() {
				fates[n] = f
			}
		}
	default:
		d.Fail()
	}
	if d.Bad() {
		return errPack
	}
	return nil
}
