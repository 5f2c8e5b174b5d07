package dispatcher

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
)

// DeliveryKey is the key of a delivery: 26 characters of [a-z2-7] that follow from
// the update's key, the channel and the address (in whatever case) alone. So the
// same update sent again, from anywhere, is the same delivery. The first eight are
// the update's, so that the keys of one update lie side by side in the ledger.
func DeliveryKey(update, channel, address string) string {
	k := newKeyer(update)
	return k.key(placeOf(channel, address))
}

// place is a recipient, whichever way the address was capitalised: the same person
// twice must not be told twice, nor told more by one spelling than by the other.
type place struct{ channel, address string }

func placeOf(channel, address string) place {
	return place{channel, strings.ToLower(strings.TrimSpace(address))}
}

// The parts of a key, in characters.
const (
	ofUpdate = 8
	ofPlace  = 18
)

// keyer makes the keys of one update's deliveries. It is for one goroutine.
type keyer struct {
	update string // the part that all of them share
	begin  []byte // what every hash begins with
	buf    []byte
}

func newKeyer(update string) *keyer {
	begin := appendWord(nil, update)
	return &keyer{update: letters(begin)[:ofUpdate], begin: begin}
}

func (k *keyer) key(p place) string {
	k.buf = append(k.buf[:0], k.begin...)
	k.buf = appendWord(appendWord(k.buf, p.channel), p.address)
	return k.update + letters(k.buf)[:ofPlace]
}

// appendWord writes a word with its length: no two lists of words read the same.
func appendWord(b []byte, word string) []byte {
	b = strconv.AppendInt(b, int64(len(word)), 10)
	b = append(b, ':')
	return append(b, word...)
}

// letters is the hash of b in the characters of a key.
func letters(b []byte) string {
	sum := sha256.Sum256(b)
	return lower32.EncodeToString(sum[:])
}

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")
