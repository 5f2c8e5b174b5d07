package dispatcher

import (
	"context"
	"sync"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// cache keeps the renderings being sent, so that a fan-out of thousands reads its
// message once. Renderings never change, so nothing in it is ever stale.
type cache struct {
	from ledger.Queue
	mu   sync.Mutex
	kept map[int64]*rendering
}

type rendering struct {
	mu     sync.Mutex
	loaded bool
	m      channels.Message
}

// Far more than are ever sent at the same time; when full it starts afresh.
const cacheMost = 128

func newCache(from ledger.Queue) *cache {
	return &cache{from: from, kept: map[int64]*rendering{}}
}

// get reads a rendering at most once, however many ask for it together, and takes
// patience for it at most.
func (c *cache) get(ctx context.Context, patience time.Duration, id int64) (channels.Message, error) {
	r := c.entry(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.loaded {
		return r.m, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := c.from.Rendering(ctx, id)
	if err != nil {
		return channels.Message{}, err
	}
	r.m, r.loaded = m, true
	return m, nil
}

func (c *cache) entry(id int64) *rendering {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.kept[id]; ok {
		return r
	}
	if len(c.kept) >= cacheMost {
		clear(c.kept)
	}
	r := &rendering{}
	c.kept[id] = r
	return r
}
