package postgres

import (
	"crypto/sha256"
	"io"
	"slices"
	"strconv"

	"sitrep/channels"
)

// share gives equal renderings the number of the first.
func (in *intake) share() {
	first := map[string]int64{}
	for i, id := range in.renderings {
		d := string(digest(&in.a.Renderings[i]))
		if first[d] == 0 {
			first[d] = id
		}
		in.renderings[i] = first[d]
	}
}

// storeDrawn stores the renderings of a fresh update under the numbers that were drawn.
func (in *intake) storeDrawn() {
	used := map[int64]bool{}
	for _, p := range in.added {
		used[in.renderings[p.Rendering]] = true
	}
	for i := range in.a.Renderings {
		id := in.renderings[i]
		if !used[id] && in.a.Rest == nil || slices.Index(in.renderings, id) < i {
			continue
		}
		m := &in.a.Renderings[i]
		in.last.Queue(`INSERT INTO renderings (id, upd, digest, format, subject, text, html, payload) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
			id, in.upd, digest(m), string(m.Format), m.Subject, m.Text, m.HTML, m.Payload)
	}
}

// rendering stores one of a known update; equal ones of an update share a row.
func (in *intake) rendering(i int) error {
	if in.renderings[i] != 0 {
		return nil
	}
	m := &in.a.Renderings[i]
	_, err := in.row(`INSERT INTO renderings (upd, digest, format, subject, text, html, payload) VALUES ($1,$2,$3,$4,$5,$6,$7)
		ON CONFLICT (upd, digest) DO UPDATE SET upd = excluded.upd RETURNING id`,
		[]any{in.upd, digest(m), string(m.Format), m.Subject, m.Text, m.HTML, m.Payload}, []any{&in.renderings[i]})
	return err
}

func digest(m *channels.Message) []byte {
	h := sha256.New()
	for _, s := range []string{string(m.Format), m.Subject, m.Text, m.HTML, string(m.Payload)} {
		_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s) // a hash takes everything
	}
	return h.Sum(nil)
}
