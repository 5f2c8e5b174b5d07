package dispatcher

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// cache keeps the renderings being sent, so that a fan-out of thousands reads its
// message once. Renderings never change, so nothing in it is ever stale. Looking at
// what is there takes no lock: every attempt does.
type cache struct {
	from ledger.Queue
	mu   sync.Mutex // held by whoever puts another map in the place of kept
	kept atomic.Pointer[map[int64]*rendering]
}

type rendering struct {
	mu sync.Mutex // held while it is read
	m  atomic.Pointer[channels.Message]
}

// Far more than are ever sent at the same time; when full it starts afresh.
const cacheMost = 128

func newCache(from ledger.Queue) *cache {
	c := &cache{from: from}
	c.kept.Store(&map[int64]*rendering{})
	return c
}

// get reads a rendering at most once, however many ask for it together, and takes
// patience for it at most.
func (c *cache) get(ctx context.Context, patience time.Duration, id int64) (channels.Message, error) {
	r, ok := (*c.kept.Load())[id]
	if !ok {
		r = c.entry(id)
	}
	if m := r.m.Load(); m != nil {
		return *m, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.m.Load(); m != nil {
		return *m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := c.from.Rendering(ctx, id)
	if err != nil {
		return channels.Message{}, err
	}
	r.m.Store(&m)
	return m, nil
}

func (c *cache) entry(id int64) *rendering {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := *c.kept.Load()
	if r, ok := kept[id]; ok {
		return r
	}
	next := map[int64]*rendering{}
	if len(kept) < cacheMost {
		maps.Copy(next, kept)
	}
	next[id] = &rendering{}
	c.kept.Store(&next)
	return next[id]
}
