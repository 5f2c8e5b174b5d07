package notify

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"sitrep/channels"
)

// partsMost is how many messages one update may take where a service takes short
// ones only.
const partsMost = 8

// split divides a text into parts of at most limit runes: between paragraphs if it
// can, else between lines, else between words. Zero means no limit. Only white
// space is lost, and only where it divides.
func split(text string, limit int) []string {
	var parts []string
	for limit > 0 {
		end := 0
		for n := 0; n < limit && end < len(text); n++ {
			_, size := utf8.DecodeRuneInString(text[end:])
			end += size
		}
		if end == len(text) {
			break
		}
		cut := end
		for _, sep := range []string{"\n\n", "\n", " "} {
			// A part of less than a third would only make more of them.
			if i := strings.LastIndex(text[:end], sep); i > end/3 {
				cut = i
				break
			}
		}
		if part := strings.TrimRight(text[:cut], " \n"); part != "" {
			parts = append(parts, part)
		}
		text = strings.TrimLeft(text[cut:], " \n")
	}
	if text != "" || len(parts) == 0 {
		parts = append(parts, text)
	}
	return parts
}

// part is the i-th of n messages of an envelope. Each has a key of its own, and
// says in its subject which one it is.
func part(e channels.Envelope, text string, i, n int) channels.Envelope {
	e.Message.Text = text
	if n > 1 {
		e.Message.Subject = strings.TrimSpace(fmt.Sprintf("%s (%d/%d)", e.Message.Subject, i+1, n))
	}
	if i > 0 {
		// Short enough for every service, and different early on: Discord reads 25.
		e.Key = fmt.Sprintf("%d-%s", i+1, e.Key)
	}
	return e
}

// progress is what is there of a delivery that stopped between its parts.
type progress struct {
	parts   int
	receipt channels.Receipt // of them all; the permalink and thread are the first's
	at      time.Time
}

func (p *progress) add(r channels.Receipt) {
	p.parts++
	if p.parts == 1 {
		p.receipt = r
	} else if r.RemoteID != "" {
		p.receipt.RemoteID += "," + r.RemoteID
	}
}

// memory lets the next attempt of a delivery go on where the last one stopped. It
// lasts as long as the process.
type memory struct {
	now  func() time.Time
	mu   sync.Mutex
	kept map[string]progress // by delivery key
}

const (
	memorySpan = 48 * time.Hour // longer than a delivery lives
	memorySize = 10_000
)

func (m *memory) recall(key string) progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept[key]
}

func (m *memory) keep(key string, p progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]progress{}
	}
	if len(m.kept) >= memorySize {
		for k, old := range m.kept {
			if m.now().Sub(old.at) > memorySpan {
				delete(m.kept, k)
			}
		}
	}
	p.at = m.now()
	m.kept[key] = p
}

func (m *memory) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, key)
}
