package blob_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"sitrep/internal/blob"
)

func TestComesBack(t *testing.T) {
	b := binary.AppendUvarint(nil, 300)
	b = binary.AppendVarint(b, math.MinInt64)
	b = blob.AppendText(blob.AppendText(b, ""), "Zoë\x00")
	r := blob.NewReader(b)
	clear(b) // it is ours again
	if n, at, none, word := r.Number(300), r.Signed(), r.Text(), r.Text(); n != 300 || at != math.MinInt64 || none != "" || word != "Zoë\x00" {
		t.Errorf("read %d, %d, %q, %q", n, at, none, word)
	}
	if r.Bad() || r.Len() != 0 {
		t.Errorf("bad: %v, %d left", r.Bad(), r.Len())
	}
}

func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		read func(*blob.Reader)
	}{
		"nothing left":            {nil, func(r *blob.Reader) { r.Number(9) }},
		"nothing left, signed":    {nil, func(r *blob.Reader) { r.Signed() }},
		"no word left":            {nil, func(r *blob.Reader) { r.Text() }},
		"too large":               {[]byte{10}, func(r *blob.Reader) { r.Number(9) }},
		"nothing is allowed":      {[]byte{0}, func(r *blob.Reader) { r.Number(-1) }},
		"half a number":           {[]byte{0x80}, func(r *blob.Reader) { r.Number(math.MaxInt) }},
		"half a signed number":    {[]byte{0x80}, func(r *blob.Reader) { r.Signed() }},
		"more than 64 bits":       {bytes.Repeat([]byte{0xff}, 11), func(r *blob.Reader) { r.Number(math.MaxInt) }},
		"a word cut short":        {[]byte{3, 'a', 'b'}, func(r *blob.Reader) { r.Text() }},
		"a word as long as all":   {[]byte{2, 'a'}, func(r *blob.Reader) { r.Text() }},
		"the caller knows better": {[]byte{1, 2}, func(r *blob.Reader) { r.Fail() }},
	} {
		r := blob.NewReader(append(c.in, 1, 1, 'x')[:len(c.in)])
		c.read(&r)
		if !r.Bad() || r.Len() != 0 || r.Number(9) != 0 || r.Signed() != 0 || r.Text() != "" {
			t.Errorf("%s: bad %v, %d left", name, r.Bad(), r.Len())
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte{3, 1, 'a', 2}, 5)
	f.Fuzz(func(t *testing.T, b []byte, most int) {
		r := blob.NewReader(b)
		for r.Len() > 0 {
			before := r.Len()
			if n := r.Number(most); n < 0 || n > max(most, 0) {
				t.Fatalf("%d is more than %d", n, most)
			}
			word := r.Text()
			if r.Len() >= before || len(word) > before {
				t.Fatalf("%d left of %d, after %q", r.Len(), before, word)
			}
		}
	})
}
