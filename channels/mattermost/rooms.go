package mattermost

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"sitrep/channels"
)

// room is where posts go.
type room struct {
	id   string
	team string // name, for permalinks; empty for direct messages
}

// rooms finds the room an address means. What it found it remembers for a while:
// rooms are renamed and archived.
type rooms struct {
	*server
	team string
	now  func() time.Time

	mu    sync.Mutex
	known map[string]knownRoom // by address
	self  named                // who we are; a token's user never changes
}

type knownRoom struct {
	room
	until time.Time
}

const roomsKnown = 15 * time.Minute

// named is what we read of a user, team or room.
type named struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Username string `json:"username"`
	TeamID   string `json:"team_id"`
	DeleteAt int64  `json:"delete_at"`
}

// resolve finds the room. NoRecipient means that there is none.
func (d *rooms) resolve(ctx context.Context, address string) (room, error) {
	d.mu.Lock()
	k, ok := d.known[address]
	d.mu.Unlock()
	if ok && d.now().Before(k.until) {
		return k.room, nil
	}
	found, err := d.look(ctx, address)
	if err != nil {
		return room{}, again(err, "room %q", address)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known[address] = knownRoom{found, d.now().Add(roomsKnown)}
	return found, nil
}

// forget drops what is remembered of an address after it turned out wrong.
func (d *rooms) forget(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, address)
}

func (d *rooms) look(ctx context.Context, address string) (room, error) {
	team, name, two := strings.Cut(address, "/")
	switch {
	case address == "-":
		return room{}, channels.Errorf(channels.NoRecipient, "\"-\" is a webhook's own room; a bot needs a room's name")
	case strings.HasPrefix(address, "@"):
		return d.direct(ctx, address[1:])
	case ids.MatchString(address):
		return d.byID(ctx, address)
	case two:
		return d.byName(ctx, team, name)
	case d.team != "":
		return d.byName(ctx, d.team, address)
	default:
		return d.search(ctx, address)
	}
}

func (d *rooms) get(ctx context.Context, path string, out any) error {
	return d.call(ctx, http.MethodGet, path, nil, out, true)
}

func (d *rooms) byName(ctx context.Context, team, name string) (room, error) {
	var c named
	err := d.get(ctx, "/teams/name/"+url.PathEscape(team)+"/channels/name/"+url.PathEscape(name), &c)
	if f, _ := channels.FaultOf(err); f == channels.NoRecipient {
		return room{}, again(err, "the team %q has no room %q (or a private one without the bot: then invite the bot)", team, name)
	}
	return room{id: c.ID, team: team}, err
}

func (d *rooms) byID(ctx context.Context, id string) (room, error) {
	var c, t named
	if err := d.get(ctx, "/channels/"+id, &c); err != nil {
		return room{}, err
	}
	if c.DeleteAt > 0 {
		return room{}, channels.Errorf(channels.NoRecipient, "the room is archived; unarchive it, or take it off the list")
	}
	if c.TeamID != "" && d.get(ctx, "/teams/"+url.PathEscape(c.TeamID), &t) != nil {
		t.Name = "" // good for permalinks only
	}
	return room{id: c.ID, team: t.Name}, nil
}

// search looks for a room without a team in all of the bot's teams.
func (d *rooms) search(ctx context.Context, name string) (room, error) {
	var teams []named
	if err := d.get(ctx, "/users/me/teams", &teams); err != nil {
		return room{}, err
	}
	var found []room
	for _, t := range teams {
		r, err := d.byName(ctx, t.Name, name)
		if err == nil {
			found = append(found, r)
		} else if f, _ := channels.FaultOf(err); f != channels.NoRecipient {
			return room{}, err
		}
	}
	switch len(found) {
	case 0:
		return room{}, channels.Errorf(channels.NoRecipient,
			"none of the bot's %d teams has such a room (or it is private and the bot is not in it); check the name, or invite the bot", len(teams))
	case 1:
		return found[0], nil
	}
	var where []string
	for _, r := range found {
		where = append(where, r.team+"/"+name)
	}
	return room{}, channels.Errorf(channels.Rejected,
		"several teams have it: write %s in the list, or set team: in the channel's configuration", strings.Join(where, " or "))
}

func (d *rooms) direct(ctx context.Context, user string) (room, error) {
	u, err := d.user(ctx, user)
	if err != nil {
		return room{}, err
	}
	me, err := d.me(ctx)
	if err != nil {
		return room{}, err
	}
	var c named
	err = d.call(ctx, http.MethodPost, "/channels/direct", []string{me.ID, u.ID}, &c, true)
	return room{id: c.ID}, err
}

func (d *rooms) user(ctx context.Context, name string) (named, error) {
	var u named
	err := d.get(ctx, "/users/username/"+url.PathEscape(name), &u)
	if f, _ := channels.FaultOf(err); f == channels.NoRecipient {
		return u, again(err, "there is no user %q", name)
	}
	if err == nil && u.DeleteAt > 0 {
		return u, channels.Errorf(channels.NoRecipient, "the account of %q is deactivated; take it off the list", name)
	}
	return u, err
}

// me is the bot itself.
func (d *rooms) me(ctx context.Context) (named, error) {
	d.mu.Lock()
	me := d.self
	d.mu.Unlock()
	if me.ID != "" {
		return me, nil
	}
	if err := d.get(ctx, "/users/me", &me); err != nil {
		return me, fmt.Errorf("who the token belongs to: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.self = me
	return me, nil
}

// permalink is where a person sees a post.
func (s *server) permalink(team, post string) string {
	if post == "" {
		return ""
	}
	return s.site + "/" + cmp.Or(team, "_redirect") + "/pl/" + post
}
