package email

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"

	"sitrep/internal/secret"
)

// stamp makes MACs (HMAC-SHA256, RFC 2104) with one key and for one purpose: what it has
// made proves nothing to another stamp, be its key the same. It keeps what follows from
// the key alone, which is half the work. It is safe for concurrent use.
type stamp struct {
	key     secret.String
	purpose string
	idle    sync.Pool // of *mac, ready to begin
}

// mac is an HMAC and what it needs memory for.
type mac struct {
	hash.Hash
	text, sum []byte
}

// of is the MAC over parts, one after the other.
func (s *stamp) of(parts ...string) [sha256.Size]byte {
	m, ok := s.idle.Get().(*mac)
	if !ok {
		m = &mac{Hash: hmac.New(sha256.New, []byte(s.key.Reveal()))}
	}
	m.text = append(append(m.text[:0], s.purpose...), 0)
	for _, part := range parts {
		m.text = append(m.text, part...)
	}
	_, _ = m.Write(m.text) // a hash takes everything
	m.sum = m.Sum(m.sum[:0])
	sum := [sha256.Size]byte(m.sum)
	m.Reset()
	s.idle.Put(m)
	return sum
}
