package mattermost

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"sitrep/channels"
)

// seen is a post as read back.
type seen struct {
	ID      string `json:"id"`
	Root    string `json:"root_id"`
	Created int64  `json:"create_at"` // milliseconds
	Props   struct {
		Key  string `json:"sitrep_key"`
		Part int    `json:"sitrep_part"`
	} `json:"props"`
}

// lookBack is how far back Find reads a room for the beginning of a thread: more
// than any delivery lives. The server gives the newest 1000 posts of that time.
const lookBack = 48 * time.Hour

// Find reads back which of the delivery's posts are there, by their props. With all
// of them it arrived. With some, it did not, and the next Send adds what is missing.
// A post that somebody deleted meanwhile has arrived.
func (b *bot) Find(ctx context.Context, e channels.Envelope) (channels.Receipt, bool, error) {
	posts, err := payload(e.Message)
	if err != nil {
		return channels.Receipt{}, false, err
	}
	t := threadOf(e.Thread)
	if t.Root == "" {
		t = b.memory.recall(e.Key).thread
	}
	if t.Channel == "" {
		where, err := b.resolve(ctx, e.To.Address)
		if f, _ := channels.FaultOf(err); f == channels.NoRecipient {
			return channels.Receipt{}, false, nil // no room, no post
		} else if err != nil {
			return channels.Receipt{}, false, err
		}
		t = thread{Channel: where.id, Team: where.team}
	}
	found, err := b.read(ctx, t)
	if err != nil {
		return channels.Receipt{}, false, again(err, "read the room back")
	}
	done := match(found, t, e.Key)
	if len(done.parts) >= len(posts.Posts) {
		b.memory.forget(e.Key)
		return b.receipt(done), true, nil
	}
	b.memory.keep(e.Key, done)
	return channels.Receipt{}, false, nil
}

// read returns the posts of the thread, or of the room's last days.
func (b *bot) read(ctx context.Context, t thread) (map[string]seen, error) {
	var list struct {
		Posts map[string]seen `json:"posts"`
	}
	if t.Root != "" {
		err := b.call(ctx, http.MethodGet, "/posts/"+t.Root+"/thread", nil, &list, true)
		if f, _ := channels.FaultOf(err); !f.Final() {
			return list.Posts, err
		} // the root was deleted: read the room
	}
	since := b.now().Add(-lookBack).UnixMilli()
	err := b.get(ctx, fmt.Sprintf("/channels/%s/posts?since=%d", t.Channel, since), &list)
	return list.Posts, err
}

// match picks the delivery's posts in the order of their parts, up to the first
// that is missing.
func match(found map[string]seen, t thread, key string) progress {
	parts := map[int]seen{}
	for _, p := range found {
		if p.Props.Key == key && p.ID != "" {
			parts[p.Props.Part] = p
		}
	}
	if root, ok := parts[0]; ok && root.Root == "" {
		t.Root, t.Key = root.ID, key
	}
	done := progress{thread: t}
	for i := 1; parts[i].ID != ""; i++ {
		done.parts = append(done.parts, parts[i].ID)
		done.thread.Root = parts[i].Root
	}
	return done
}

// latest reports whether no update of the thread began after that of the key. An
// update begins with its first part: a later one may have been added by a correction.
func latest(found map[string]seen, key string) bool {
	var ours, newest int64
	for _, p := range found {
		switch {
		case p.Props.Key == "" || p.Props.Part != 1:
		case p.Props.Key == key:
			ours = max(ours, p.Created)
		default:
			newest = max(newest, p.Created)
		}
	}
	return newest < ours || newest == 0
}

// Probe asks whether the token works, the room is there and the bot is in it.
func (b *bot) Probe(ctx context.Context, r channels.Recipient) error {
	if _, err := b.me(ctx); err != nil {
		return err
	}
	if len(r.Address) > 1 && r.Address[0] == '@' {
		_, err := b.user(ctx, r.Address[1:])
		return err
	}
	b.forget(r.Address)
	where, err := b.resolve(ctx, r.Address)
	if err != nil {
		return err
	}
	err = b.call(ctx, http.MethodGet, "/channels/"+where.id+"/members/me", nil, nil, true)
	if f, _ := channels.FaultOf(err); f.Final() {
		return channels.Errorf(channels.Rejected, "room %q: the bot is not in it and cannot post; invite it with /invite: %w", r.Address, err)
	}
	return err
}
