package mattermost

import (
	"slices"
	"sync"
	"time"
)

// progress is how far a delivery came: its thread, and the ids of the posts made.
type progress struct {
	thread thread
	parts  []string
}

// memory keeps the progress of deliveries that stopped half-way, so that the next
// attempt goes on from there. It spares reading the room back; Find can do
// without it. Its zero value needs now.
type memory struct {
	now func() time.Time

	mu   sync.Mutex
	kept map[string]keptProgress // by delivery key
}

type keptProgress struct {
	progress
	at time.Time
}

const (
	memorySpan = 48 * time.Hour
	memorySize = 10_000
)

func (m *memory) recall(key string) progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.kept[key].progress
	p.parts = slices.Clone(p.parts)
	return p
}

func (m *memory) keep(key string, p progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]keptProgress{}
	}
	if len(m.kept) >= memorySize {
		m.prune()
	}
	m.kept[key] = keptProgress{p, m.now()}
}

// prune drops what no delivery can still need, or else everything: what is lost
// can be read back.
func (m *memory) prune() {
	for key, p := range m.kept {
		if m.now().Sub(p.at) > memorySpan {
			delete(m.kept, key)
		}
	}
	if len(m.kept) >= memorySize {
		clear(m.kept)
	}
}

func (m *memory) forget(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, key)
}
