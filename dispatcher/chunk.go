package dispatcher

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"iter"
	"slices"

	"sitrep/internal/blob"
)

// A roster is kept in the ledger as chunks of its places, in their order. A chunk
// holds everything about them that an update may need, so that another process with
// another configuration makes the same deliveries of it:
//
//	version (1)
//	number of places
//	of each place
//	    its class: a number; the next unused one is defined here:
//	        channel, required (0 or 1), number of mentions,
//	        of each mention: number of the list, via, locale, zone
//	    of each mention: address, name
//
// Numbers are varints, and words have their length before them. The first chunk is
// smaller: it is written with the update itself.
const (
	chunkVersion = 1
	chunkFirst   = 256
	chunkPlaces  = 1024
)

// chunks is how many there are.
func (r *roster) chunks() int {
	return 1 + (max(0, r.places()-chunkFirst)+chunkPlaces-1)/chunkPlaces
}

// bounds are the places of a chunk.
func (r *roster) bounds(n int) (from, to int) {
	if n > 0 {
		from = chunkFirst + (n-1)*chunkPlaces
	}
	return from, min(r.places(), chunkFirst+n*chunkPlaces)
}

// encoded are all chunks. Each is the receiver's to keep.
func (r *roster) encoded() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for n := range r.chunks() {
			if !yield(r.encode(nil, n)) {
				return
			}
		}
	}
}

func (r *roster) sum() string {
	h := sha256.New()
	var b []byte
	for n := range r.chunks() {
		b = r.encode(b[:0], n)
		h.Write(binary.AppendUvarint(nil, uint64(len(b))))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (r *roster) encode(b []byte, n int) []byte {
	from, to := r.bounds(n)
	b = append(b, chunkVersion)
	b = binary.AppendUvarint(b, uint64(to-from)) //nolint:gosec // not negative
	numbers := map[uint32]uint64{}
	for i := from; i < to; i++ {
		class := r.class[i]
		number, known := numbers[class]
		if !known {
			number = uint64(len(numbers))
			numbers[class] = number
		}
		b = binary.AppendUvarint(b, number)
		if !known {
			b = r.classes[class].encode(b)
		}
		for _, e := range r.entries[r.first[i]:r.first[i+1]] {
			to := r.recipient(e)
			b = blob.AppendText(blob.AppendText(b, to.Address), to.Name)
		}
	}
	return b
}

func (c class) encode(b []byte) []byte {
	b = blob.AppendText(b, c.channel)
	if c.required {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(c.mentions)))
	for _, m := range c.mentions {
		b = binary.AppendUvarint(b, uint64(m.list)) //nolint:gosec // not negative
		b = blob.AppendText(blob.AppendText(blob.AppendText(b, m.via), m.locale), m.zone)
	}
	return b
}

// chunk is one that was read.
type chunk struct {
	classes []class
	seats   []seat
}

var errChunk = errors.New("the recipients kept for it cannot be read: the ledger is damaged, or of a newer version of sitrep")

// decodeChunk reads a chunk. lists is how many lists its update knows.
func decodeChunk(b []byte, lists int) (chunk, error) {
	d := decoder{Reader: blob.NewReader(b), lists: lists}
	if d.Number(chunkVersion) != chunkVersion {
		return chunk{}, errChunk
	}
	places := d.Number(len(b))
	c := chunk{seats: make([]seat, 0, min(places, chunkPlaces))}
	for range places {
		n := d.Number(len(c.classes))
		if n == len(c.classes) && !d.Bad() {
			c.classes = append(c.classes, d.class())
		}
		if d.Bad() {
			return chunk{}, errChunk
		}
		contacts := make([]contact, len(c.classes[n].mentions))
		for i := range contacts {
			contacts[i] = contact{d.Text(), d.Text()}
		}
		c.seats = append(c.seats, seat{class: n, contacts: contacts})
	}
	if d.Bad() || d.Len() > 0 {
		return chunk{}, errChunk
	}
	return c, nil
}

// decoder reads a chunk of an update that knows so many lists.
type decoder struct {
	blob.Reader
	lists int
}

func (d *decoder) class() class {
	c := class{channel: d.Text(), required: d.Number(1) == 1}
	mentions := d.Number(d.Len())
	for range mentions {
		m := mention{list: d.Number(d.lists - 1), via: d.Text(), locale: d.Text(), zone: d.Text()}
		if d.Bad() {
			return class{}
		}
		c.mentions = append(c.mentions, m)
	}
	if d.Bad() || !c.inOrder() {
		d.Fail()
		return class{}
	}
	return c
}

// inOrder reports that there are mentions, in the order of the lists.
func (c class) inOrder() bool {
	return len(c.mentions) > 0 && slices.IsSortedFunc(c.mentions, func(a, b mention) int { return a.list - b.list })
}
