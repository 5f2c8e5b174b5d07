// Package blob is how we write what a ledger keeps as bytes, and read it again: numbers are
// varints (as encoding/binary has them), words have their length before them. What is read
// may be anything.
package blob

import "encoding/binary"

// AppendText appends a word.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Reader reads what may be anything. After a mistake everything it returns is zero. It is
// for one goroutine; its zero value has nothing to read.
type Reader struct {
	left string
	bad  bool
}

// NewReader is one of b, which is the caller's again when it returns.
func NewReader(b []byte) Reader { return Reader{left: string(b)} }

// Len is how many bytes are left to read; after a mistake none.
func (r *Reader) Len() int { return len(r.left) }

// Bad reports that there was a mistake.
func (r *Reader) Bad() bool { return r.bad }

// Fail makes a mistake of what was read: it cannot be, for a reason that the caller knows.
func (r *Reader) Fail() { r.bad, r.left = true, "" }

// Number reads one that is not negative; more than most is a mistake.
func (r *Reader) Number(most int) int {
	b := [binary.MaxVarintLen64]byte{}
	v, n := binary.Uvarint(b[:copy(b[:], r.left)])
	if r.bad || n <= 0 || most < 0 || v > uint64(most) {
		r.Fail()
		return 0
	}
	r.left = r.left[n:]
	return int(v) //nolint:gosec // it is at most most
}

// Signed reads any number, as binary.AppendVarint writes it.
func (r *Reader) Signed() int64 {
	b := [binary.MaxVarintLen64]byte{}
	v, n := binary.Varint(b[:copy(b[:], r.left)])
	if r.bad || n <= 0 {
		r.Fail()
		return 0
	}
	r.left = r.left[n:]
	return v
}

// Text reads a word. All words share the memory of what is read.
func (r *Reader) Text() string {
	n := r.Number(len(r.left))
	if r.bad || n > len(r.left) {
		r.Fail()
		return ""
	}
	s := r.left[:n]
	r.left = r.left[n:]
	return s
}
