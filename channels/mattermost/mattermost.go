// Package mattermost delivers to Mattermost, as a bot (REST API v4) or through an
// incoming webhook.
//
// # As a bot
//
// An incident is one thread in a room. The first delivery posts the card (the
// incident at a glance, with its priority) as the thread's root and the update as
// the first reply; each later one brings the card up to date in place and then
// replies. The card goes first because changing it twice does no harm, while a
// reply that was posted cannot be unposted: whatever fails on the way, the next
// attempt goes on where this one stopped and nothing is shown twice. A card that
// can no longer be changed (edit time limit) does not hold an update back.
//
// Every post carries the delivery's key, as pending_post_id (which the server
// remembers for 30 seconds, in memory) and in props.sitrep_key and
// props.sitrep_part, by which Find reads back what became of an attempt. Parts 1 to
// n are the update's posts; part 0 is the card of a new thread. An attempt that
// posted some parts and not all is Ambiguous, so that Find takes stock first.
//
// # Through a webhook
//
// A webhook knows no threads, ids, edits or idempotency: each update is one message
// (or several, if it is long), and an attempt whose answer was lost cannot be
// cleared up. A message of several posts that fails half-way goes on where it
// stopped, unless the program is restarted in between.
//
// # Rooms
//
// "team/room", "room" (of the configured team, or of the only one of the bot's
// teams that has it), a room's id, or "@user" for a direct message. room and team
// are the names in the room's address, not the display names. With a webhook:
// "room", "@user", or "-" for the webhook's own room.
//
// # What its errors mean
//
// A Mattermost whose database is down answers 400, 401 and 403 exactly as for a
// bad request, a bad token or a missing permission. So no 4xx is believed before
// /api/v4/system/ping?get_server_status=true says that the server is well.
// Conversely some of its 500s are final. Seen on Team Edition 11.2; the API is
// described at https://developers.mattermost.com/api-documentation/.
package mattermost

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

// Config is the stanza of a Mattermost channel: url and token for a bot, or
// webhook.
type Config struct {
	// URL is the server's address, https://chat.example.com. For a bot only; a
	// webhook's own URL says it.
	URL string `yaml:"url"`

	// Token is the bot's access token.
	Token secret.String `yaml:"token"`

	// Webhook is the whole URL of an incoming webhook. Whoever has it can post.
	Webhook secret.String `yaml:"webhook"`

	// Team is where rooms given without a team are: the name in the address.
	// Without it, the bot's own teams are searched.
	Team string `yaml:"team"`

	// Username is the name a webhook's posts appear under, if the server allows
	// that (EnablePostUsernameOverride).
	Username string `yaml:"username"`

	// AllowHTTP permits an address without encryption. Loopback needs no permission.
	AllowHTTP bool `yaml:"allow_http"`
}

const (
	postRunes = 16_383  // model.PostMessageMaxRunesV2
	postBytes = 250_000 // of MaximumPayloadSizeBytes' 300 000, the rest for our own props
)

// Kind is the entry for channels/builtin.
func Kind() channels.Kind { return channels.Kind{New: New, Config: Config{}, Address: Address} }

// New makes the channel: a Finder, Editor and Prober for a bot, a Prober for a
// webhook.
func New(decode channels.Decode, env channels.Env) (channels.Channel, error) {
	var c Config
	if err := errors.Join(decode(&c), c.check()); err != nil {
		return nil, err
	}
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	web := httpx.New(httpx.Options{
		Base: env.HTTP, Agent: env.Agent, Now: env.Now, MaxBody: 8 << 20, // a room's last 1000 posts
		Secrets: []secret.String{c.Token, c.Webhook},
	})
	if !c.Webhook.Empty() {
		return newHook(c, env, web), nil
	}
	return newBot(c, env, web), nil
}

// check reports every mistake at once.
func (c Config) check() error {
	var errs []error
	site, name := c.URL, "url"
	switch {
	case !c.Webhook.Empty() && (c.URL != "" || !c.Token.Empty()):
		errs = append(errs, errors.New("webhook and url/token exclude each other: a webhook's URL is all it needs; remove one"))
	case !c.Webhook.Empty():
		site, name = c.Webhook.Reveal(), "webhook"
		if _, id, ok := strings.Cut(site, "/hooks/"); !ok || id == "" {
			errs = append(errs, errors.New("webhook does not look like https://chat.example.com/hooks/…; copy it from Mattermost's Integrations page"))
		}
	case c.Token.Empty():
		errs = append(errs, errors.New("needs a token (with url) or a webhook; make a bot account in Mattermost's Integrations page and put its token into token_file"))
	}
	if _, err := httpx.Site(site, c.AllowHTTP); err != nil {
		errs = append(errs, fmt.Errorf("%s %w", name, err))
	}
	if c.Team != "" && !names.MatchString(c.Team) {
		errs = append(errs, fmt.Errorf("team %q: give the name in the team's address (lower case, no spaces), not the display name", c.Team))
	}
	if c.Username != "" && c.Webhook.Empty() {
		errs = append(errs, errors.New("username works with a webhook only; a bot has its own name"))
	}
	return errors.Join(errs...)
}

func spec(threads bool) channels.Spec {
	return channels.Spec{
		Format:    channels.FormatMattermost,
		Limits:    channels.Limits{TextRunes: postRunes, PayloadBytes: postBytes},
		Threads:   threads,
		Ambiguous: channels.ResendAmbiguous, // in a chat room a second copy does less harm than silence
		Workers:   4,                        // order within a room is kept per incident by the dispatcher
	}
}

var (
	names = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	ids   = regexp.MustCompile(`^[a-z0-9]{26}$`)
)

// Address says what is wrong with an address in a list, or nil.
func Address(a string) error {
	team, room, two := strings.Cut(a, "/")
	switch {
	case a == "-", names.MatchString(strings.TrimPrefix(a, "@")), two && names.MatchString(team) && names.MatchString(room):
		return nil
	case strings.HasPrefix(a, "#"), strings.HasPrefix(a, "~"):
		return fmt.Errorf("room %q: write it without the %q", a, a[:1])
	case strings.Contains(a, "://"):
		return errors.New("a room is team/room, a room's id or @user, not a URL")
	case two && (names.MatchString(strings.ToLower(team)) && names.MatchString(strings.ToLower(room))), names.MatchString(strings.ToLower(a)):
		return fmt.Errorf("room %q: names are lower case; take the one in the room's address, not the display name", a)
	default:
		return fmt.Errorf("room %q: use team/room, a room's id or @user, with the names in the room's address (lower-case letters, digits, - _ .), not the display names", a)
	}
}

// payload reads what the renderer made.
func payload(m channels.Message) (channels.Posts, error) {
	var p channels.Posts
	if m.Format != channels.FormatMattermost {
		return p, channels.Errorf(channels.Rejected, "the message is made for %q, not for Mattermost", m.Format)
	}
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		return p, channels.Errorf(channels.Rejected, "the message cannot be read: %w", err)
	}
	if len(p.Posts) == 0 {
		return p, channels.Errorf(channels.Rejected, "the message is empty: it has no posts")
	}
	return p, nil
}
