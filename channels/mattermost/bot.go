package mattermost

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
)

// bot posts by the REST API.
type bot struct {
	rooms
	log    *slog.Logger
	memory memory
}

var (
	_ channels.Finder = (*bot)(nil)
	_ channels.Editor = (*bot)(nil)
	_ channels.Prober = (*bot)(nil)
	_ channels.Closer = (*bot)(nil)
)

func newBot(c Config, env channels.Env, web *httpx.Client) *bot {
	site, _ := httpx.Site(c.URL, c.AllowHTTP) // Config.check has seen it
	s := &server{site: site, token: c.Token, web: web}
	return &bot{
		rooms:  rooms{server: s, team: c.Team, now: env.Now, known: map[string]knownRoom{}},
		log:    env.Log.With("channel", env.ID),
		memory: memory{now: env.Now},
	}
}

// thread is what a channels.Thread of this channel holds.
type thread struct {
	Channel string `json:"channel_id"`
	Root    string `json:"root_id"`
	Key     string `json:"key"` // of the delivery that made the root
	Team    string `json:"team,omitempty"`
}

func (t thread) String() channels.Thread {
	raw, _ := json.Marshal(t) // four strings cannot fail
	return channels.Thread(raw)
}

// threadOf reads a thread; one that cannot be read is none, and a new one begins.
func threadOf(s channels.Thread) (t thread) {
	if json.Unmarshal([]byte(s), &t) != nil || t.Channel == "" || t.Root == "" {
		return thread{}
	}
	return t
}

// Spec says what a bot takes.
func (b *bot) Spec() channels.Spec { return spec(true) }

// Close ends idle connections.
func (b *bot) Close() error {
	b.web.Close()
	return nil
}

// Send posts the update as replies under the incident's card.
func (b *bot) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	posts, err := payload(e.Message)
	if err != nil {
		return channels.Receipt{}, err
	}
	done := b.memory.recall(e.Key)
	if done.thread.Root == "" {
		done.thread = threadOf(e.Thread)
		if done.thread.Root != "" {
			if err := b.freshen(ctx, done.thread, posts.Card); err != nil {
				return channels.Receipt{}, again(err, "bring the incident's card up to date")
			}
		}
	}
	err = b.deliver(ctx, e, posts, &done)
	if err != nil {
		return channels.Receipt{}, b.stopped(e, done, len(posts.Posts), err)
	}
	b.memory.forget(e.Key)
	return b.receipt(done), nil
}

// deliver posts what done does not have yet.
func (b *bot) deliver(ctx context.Context, e channels.Envelope, posts channels.Posts, done *progress) error {
	if done.thread.Root == "" {
		if err := b.begin(ctx, e, posts, done); err != nil {
			return err
		}
	}
	for i := len(done.parts); i < len(posts.Posts); i++ {
		id, err := b.create(ctx, done.thread, posts.Posts[i], e.Key, i+1, "")
		if err != nil && len(done.parts) == 0 && rootIsGone(err) {
			// Somebody deleted the thread's root: the incident gets a new one.
			if err = b.begin(ctx, e, posts, done); err == nil {
				id, err = b.create(ctx, done.thread, posts.Posts[i], e.Key, i+1, "")
			}
		}
		if err != nil {
			return err
		}
		done.parts = append(done.parts, id)
	}
	return nil
}

// begin starts the incident's thread in the room.
func (b *bot) begin(ctx context.Context, e channels.Envelope, posts channels.Posts, done *progress) error {
	where, err := b.resolve(ctx, e.To.Address)
	if err != nil {
		return err
	}
	t := thread{Channel: where.id, Key: e.Key, Team: where.team}
	t.Root, err = b.create(ctx, t, posts.Card, e.Key, 0, posts.Priority)
	if err != nil && posts.Priority != "" && strings.Contains(err.Error(), "post_priority") {
		b.log.WarnContext(ctx, "this server takes no message priority; the incident is posted without", "room", e.To.Address, "error", err)
		t.Root, err = b.create(ctx, t, posts.Card, e.Key, 0, "")
	}
	if err != nil {
		b.forget(e.To.Address)
		return err
	}
	done.thread = t
	return nil
}

// post is what the API takes; empty fields stay away.
type post struct {
	Channel  string         `json:"channel_id,omitempty"`
	Root     string         `json:"root_id,omitempty"`
	Message  string         `json:"message"`
	Pending  string         `json:"pending_post_id,omitempty"`
	Props    props          `json:"props"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

type props struct {
	Attachments []channels.Attachment `json:"attachments,omitempty"`
	Key         string                `json:"sitrep_key"`
	Part        int                   `json:"sitrep_part"`
}

func (b *bot) create(ctx context.Context, t thread, p channels.Post, key string, part int, priority string) (string, error) {
	in := post{
		Channel: t.Channel, Root: t.Root, Message: p.Text, Pending: fmt.Sprintf("%s-%d", key, part),
		Props: props{Attachments: p.Attachments, Key: key, Part: part},
	}
	if priority != "" {
		in.Metadata = map[string]any{"priority": map[string]string{"priority": priority}}
	}
	var out named
	if err := b.call(ctx, http.MethodPost, "/posts", in, &out, false); err != nil {
		return "", err
	}
	if out.ID == "" {
		return "", channels.Errorf(channels.Ambiguous, "%s took the post and gave no id for it; is the url that of a Mattermost?", b.site)
	}
	return out.ID, nil
}

func (b *bot) patch(ctx context.Context, id string, p channels.Post, key string, part int) error {
	in := post{Message: p.Text, Props: props{Attachments: p.Attachments, Key: key, Part: part}}
	return b.call(ctx, http.MethodPut, "/posts/"+id+"/patch", in, nil, true)
}

// freshen brings the card up to date. What cannot be mended by trying again (the
// card was deleted, or is too old to be edited) does not hold the update back.
func (b *bot) freshen(ctx context.Context, t thread, card channels.Post) error {
	err := b.patch(ctx, t.Root, card, t.Key, 0)
	if f, _ := channels.FaultOf(err); f.Final() {
		b.log.WarnContext(ctx, "the incident's card cannot be brought up to date; the update is posted all the same", "post", t.Root, "error", err)
		return nil
	}
	return err
}

// freshenLatest brings the card up to date with an update that is corrected, if it is
// the thread's latest.
func (b *bot) freshenLatest(ctx context.Context, t thread, card channels.Post, key string) error {
	found, err := b.read(ctx, t)
	if err != nil {
		return again(err, "read the incident's thread, to see whether the update is its latest")
	}
	if !latest(found, key) {
		return nil
	}
	return b.freshen(ctx, t, card)
}

func rootIsGone(err error) bool { return strings.Contains(err.Error(), "create_post.root_id") }

// stopped remembers how far an attempt came, and says so. With something posted and
// something not, the fault is Ambiguous: after a restart only Find knows how far it
// was. A fault of the whole channel stays one, so that the channel pauses.
func (b *bot) stopped(e channels.Envelope, done progress, parts int, err error) error {
	if len(done.parts) == 0 && (done.thread.Root == "" || done.thread.Key != e.Key) {
		return err
	}
	b.memory.keep(e.Key, done)
	out := again(err, "the incident's thread is there, with %d of the update's %d posts", len(done.parts), parts)
	if !out.Fault.Final() && !out.Fault.OfChannel() {
		out.Fault = channels.Ambiguous
	}
	return out
}

func (b *bot) receipt(done progress) channels.Receipt {
	return channels.Receipt{
		RemoteID:  strings.Join(done.parts, ","),
		Permalink: b.permalink(done.thread.Team, done.parts[0]),
		Thread:    done.thread.String(),
	}
}

// Edit replaces the posts of an earlier update, and the card if the thread holds no
// newer update: the card shows where the incident stands. A longer text gets further
// posts at the thread's end, a shorter one loses its last.
func (b *bot) Edit(ctx context.Context, e channels.Envelope, r channels.Receipt) (channels.Receipt, error) {
	posts, err := payload(e.Message)
	if err != nil {
		return r, err
	}
	old := strings.FieldsFunc(r.RemoteID, func(r rune) bool { return r == ',' })
	t := threadOf(r.Thread)
	if t.Root == "" {
		t = threadOf(e.Thread)
	}
	if len(old) == 0 || t.Root == "" {
		return r, channels.Errorf(channels.Rejected, "the receipt does not say which posts to correct")
	}
	if err := b.freshenLatest(ctx, t, posts.Card, e.Key); err != nil {
		return r, err
	}
	done := progress{thread: t}
	for i, p := range posts.Posts {
		id := ""
		if i < len(old) {
			id = old[i]
			err = b.patch(ctx, id, p, e.Key, i+1)
		} else {
			id, err = b.create(ctx, t, p, e.Key, i+1, "")
		}
		if err != nil {
			return r, again(err, "correct post %d of %d", i+1, len(posts.Posts))
		}
		done.parts = append(done.parts, id)
	}
	for _, id := range slices.Backward(old[min(len(old), len(posts.Posts)):]) {
		if err := b.call(ctx, http.MethodDelete, "/posts/"+id, nil, nil, true); err != nil {
			return r, again(err, "remove a post the corrected update no longer needs")
		}
	}
	return b.receipt(done), nil
}
