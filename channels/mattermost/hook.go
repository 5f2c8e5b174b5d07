package mattermost

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// hook posts through an incoming webhook.
type hook struct {
	server
	url    secret.String
	name   string
	log    *slog.Logger
	memory memory
	shelf  shelf
}

var (
	_ channels.Prober = (*hook)(nil)
	_ channels.Closer = (*hook)(nil)
)

func newHook(c Config, env channels.Env, web *httpx.Client) *hook {
	site, _, _ := strings.Cut(c.Webhook.Reveal(), "/hooks/")
	return &hook{
		server: server{site: site, web: web},
		url:    c.Webhook, name: c.Username,
		log: env.Log.With("channel", env.ID), memory: memory{now: env.Now},
	}
}

// Spec says what a webhook takes.
func (h *hook) Spec() channels.Spec { return spec(false) }

// Close ends idle connections.
func (h *hook) Close() error {
	h.web.Close()
	return nil
}

// Send posts the update, one post after another. If it stops half-way, the next
// attempt of this process goes on from there.
func (h *hook) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	u, err := h.shelf.get(e.Message, h.name)
	if err != nil {
		return channels.Receipt{}, err
	}
	done := h.memory.recall(e.Key)
	for i := len(done.parts); i < len(u.posts); i++ {
		if err := h.part(ctx, e, u, i); err != nil {
			if i == 0 {
				return channels.Receipt{}, err
			}
			h.memory.keep(e.Key, done)
			return channels.Receipt{}, again(err, "%d of the update's %d posts are in the room", i, len(u.posts))
		}
		done.parts = append(done.parts, "posted") // a webhook tells no id
	}
	h.memory.forget(e.Key)
	return channels.Receipt{}, nil
}

// part posts the i-th post. The first has the priority, if the server takes one.
func (h *hook) part(ctx context.Context, e channels.Envelope, u ready, i int) error {
	priority := u.priority
	if i > 0 {
		priority = ""
	}
	err := h.post(ctx, e, u.posts[i], i+1, priority)
	if err == nil || priority == "" || !strings.Contains(err.Error(), "post_priority") {
		return err
	}
	h.log.WarnContext(ctx, "this server takes no message priority; the update is posted without", "room", e.To.Address, "error", err)
	return h.post(ctx, e, u.posts[i], i+1, "")
}

func (h *hook) post(ctx context.Context, e channels.Envelope, post json.RawMessage, part int, priority string) error {
	p := hookRoom{Props: props{Key: e.Key, Part: part}}
	if e.To.Address != "-" {
		p.Channel = e.To.Address
	}
	if strings.Contains(p.Channel, "/") {
		return channels.Errorf(channels.Rejected, "room %q: a webhook posts in its own team only; write the room without the team", p.Channel)
	}
	if priority != "" {
		p.Priority = map[string]string{"priority": priority}
	}
	r, err := h.web.Do(ctx, httpx.Encoded(h.url.Reveal(), in(post, p)))
	if err != nil {
		return err
	}
	if !r.OK() {
		return h.fault(ctx, r, p)
	}
	if strings.TrimSpace(string(r.Body)) != "ok" {
		return explain(r, channels.Unauthorized, "this is not how a Mattermost webhook answers; check the webhook's URL")
	}
	return nil
}

// fault says what a webhook's refusal means. One answer, 400 "general", stands for
// an unknown, deleted or malformed hook, an archived room and an unknown user;
// with an empty text, its other cause, nothing gets here.
func (h *hook) fault(ctx context.Context, r httpx.Response, p hookRoom) error {
	id := problemOf(r).ID
	if r.Status >= 500 && r.Status != http.StatusNotImplemented {
		return h.server.fault(ctx, r)
	}
	r = worded(r)
	switch {
	case r.Status == http.StatusNotImplemented:
		return explain(r, channels.Unauthorized, "incoming webhooks are switched off on this server; switch them on, or use a bot")
	case r.Status < 400 || r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestEntityTooLarge:
		return h.server.fault(ctx, r)
	}
	if err := h.well(ctx); err != nil {
		return channels.Errorf(channels.Unavailable, "%w (it had %s, which it also does when its database is down)", err, statusText(r.Status))
	}
	switch {
	case r.Status == http.StatusNotFound, strings.Contains(id, "incoming_webhook.user"):
		return explain(r, channels.NoRecipient, fmt.Sprintf("the webhook's team has no %q", p.Channel))
	case r.Status == http.StatusForbidden:
		return explain(r, channels.Rejected, "the webhook may not post there; it may be locked to its own room (then write \"-\" as the address)")
	case strings.Contains(id, "general"), strings.Contains(id, "incoming_webhook.invalid"):
		if strings.HasPrefix(p.Channel, "@") {
			return explain(r, channels.Rejected, fmt.Sprintf("either there is no user %q, or the webhook was deleted", p.Channel))
		}
		return explain(r, channels.Unauthorized, "the webhook is not known to the server, or its room is archived; make a new one and put its URL into the configuration")
	case r.Status == http.StatusUnauthorized:
		return r.Fail(channels.Unauthorized)
	default:
		return r.Fail(channels.Rejected)
	}
}

// Probe asks whether the server is well. Whether the webhook exists cannot be told
// without posting.
func (h *hook) Probe(ctx context.Context, _ channels.Recipient) error { return h.well(ctx) }

// slackish is what a Mattermost rewrites in a webhook's text, code blocks included,
// as if it were Slack's: <!channel>, <@id>, <#id> and <url|text>.
var slackish = regexp.MustCompile(`<([!@#]|[^<|]+\|)`)

// unslack keeps such text as it was written: the bracket becomes its full-width
// form, which Mattermost leaves alone. No mention can come alive by the rewriting.
func unslack(s string) string { return slackish.ReplaceAllString(s, "＜$1") }

func unslackAll(list []channels.Attachment) []channels.Attachment {
	out := make([]channels.Attachment, 0, len(list))
	for _, a := range list {
		a.Title, a.Text, a.Fallback = unslack(a.Title), unslack(a.Text), unslack(a.Fallback)
		fields := make([]channels.Field, 0, len(a.Fields))
		for _, f := range a.Fields {
			fields = append(fields, channels.Field{Title: unslack(f.Title), Value: unslack(f.Value), Short: f.Short})
		}
		a.Fields = fields
		out = append(out, a)
	}
	return out
}
