// Package mmfake is a Mattermost-compatible receiver for demonstrations and tests:
// it takes what a bot or an incoming webhook posts, keeps it in memory and shows it
// to whoever asks. It is no chat server; it has no users to log in.
//
// It answers as Mattermost Team Edition 11 was seen to answer, with its traps:
//
//   - a repeated pending_post_id is answered with the first post for 30 seconds,
//     and makes a new post after that;
//   - with its database down ([Server.SetDatabase]) it answers 400, 401 and 403,
//     and only the ping with get_server_status tells;
//   - a webhook splits a text of more than 16 383 runes into several posts, blindly;
//   - it answers 403 for a post that is not there, and 400 for a reply to a root
//     that is not there;
//   - bodies of more than 300 000 bytes are 413, or 400 at a webhook.
//
// [Server.Intercept] makes it fail in any other way.
package mmfake

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"sitrep/channels"
)

// Options describe the server. The zero value has the bot "sitrep" with the token
// "demo-token", the webhook "demo-hook" and no rooms.
type Options struct {
	Token string           // the bot's
	Hook  string           // the webhook's id, the last part of its URL
	Bot   string           // the bot's user name
	Rooms []Room           // the first is the webhook's own
	Users []string         // who can be written to directly
	Now   func() time.Time // nil means time.Now
}

// Room is a room (Mattermost calls it a channel).
type Room struct {
	Team, Name string
	Archived   bool
	Closed     bool // the bot is not a member
}

// Post is a post as it stands now.
type Post struct {
	ID, Root    string // Root is empty for a root post
	Team, Room  string // Room is "@name" for a direct message
	From        string // user name
	Text        string
	Attachments []channels.Attachment
	Priority    string
	Props       map[string]any
	Created     time.Time
	Edited      time.Time // zero if never
	Deleted     bool
}

// Server is the receiver, an http.Handler. It is safe for concurrent use.
type Server struct {
	o     Options
	mux   *http.ServeMux
	rooms map[string]*Room // by id
	users map[string]string

	mu        sync.Mutex
	posts     []*stored
	pending   map[string]pending
	down      bool
	intercept func(http.ResponseWriter, *http.Request) bool
	changed   chan struct{}
}

// stored is a post with what only the server knows of it.
type stored struct {
	Post
	channel string // id
}

type pending struct {
	post *stored
	at   time.Time
}

// New makes a server.
func New(o Options) *Server {
	o.Token, o.Hook, o.Bot = cmp.Or(o.Token, "demo-token"), cmp.Or(o.Hook, "demo-hook"), cmp.Or(o.Bot, "sitrep")
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		o: o, rooms: map[string]*Room{}, users: map[string]string{ID("user", o.Bot): o.Bot},
		pending: map[string]pending{}, changed: make(chan struct{}),
	}
	for _, r := range o.Rooms {
		s.rooms[ID("room", r.Team, r.Name)] = &r
	}
	for _, u := range o.Users {
		s.users[ID("user", u)] = u
		s.rooms[directID(o.Bot, u)] = &Room{Name: "@" + u}
	}
	s.mux = s.routes()
	return s
}

// ID is the server's id of a thing: 26 characters, the same for the same words
// ("team", name), ("room", team, name), ("user", name).
func ID(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:26]
}

func directID(a, b string) string { return ID("direct", min(a, b), max(a, b)) }

// Posts returns all posts, oldest first, as they stand now.
func (s *Server) Posts() []Post {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Post, 0, len(s.posts))
	for _, p := range s.posts {
		all = append(all, p.Post)
	}
	return all
}

// Changed returns a channel that is closed at the next change of any post.
func (s *Server) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// SetDatabase takes the server's database down, or up again.
func (s *Server) SetDatabase(up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = !up
}

// Intercept lets f see every request first; true means that f has answered it. Nil
// ends it.
func (s *Server) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	intercept := s.intercept
	s.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Take handles a request whatever Intercept says: for an interceptor that wants
// the request done and then something to go wrong.
func (s *Server) Take(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// add keeps a new post. The caller holds mu.
func (s *Server) add(channel string, p Post) *stored {
	room := s.rooms[channel]
	p.ID = ID("post", fmt.Sprint(len(s.posts)))
	p.Team, p.Room, p.Created = room.Team, room.Name, s.o.Now()
	st := &stored{Post: p, channel: channel}
	s.posts = append(s.posts, st)
	s.announce()
	return st
}

func (s *Server) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// find returns a post that is there and not deleted. The caller holds mu.
func (s *Server) find(id string) *stored {
	i := slices.IndexFunc(s.posts, func(p *stored) bool { return p.ID == id && !p.Deleted })
	if i < 0 {
		return nil
	}
	return s.posts[i]
}

// room finds a room by its names. Archived rooms are not found by name.
func (s *Server) room(team, name string) (string, *Room) {
	for id, r := range s.rooms {
		if r.Name == name && (team == "" || r.Team == team) && !r.Archived {
			return id, r
		}
	}
	return "", nil
}
