package mmfake

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	maxBody   = 300_000 // ServiceSettings.MaximumPayloadSizeBytes
	maxRunes  = 16_383  // of a post
	dedupe    = 30 * time.Second
	maxListed = 1000
)

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/{id}", s.hook)
	mux.HandleFunc("GET /api/v4/system/ping", s.ping)
	api := func(pattern string, h func(*http.Request) (int, any)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.api(w, r, h) })
	}
	api("GET /api/v4/users/me", s.me)
	api("GET /api/v4/users/me/teams", s.teams)
	api("GET /api/v4/users/username/{name}", s.user)
	api("GET /api/v4/teams/{id}", s.team)
	api("GET /api/v4/teams/name/{team}/channels/name/{room}", s.roomByName)
	api("GET /api/v4/channels/{id}", s.roomByID)
	api("GET /api/v4/channels/{id}/members/me", s.member)
	api("GET /api/v4/channels/{id}/posts", s.since)
	api("POST /api/v4/channels/direct", s.direct)
	api("POST /api/v4/posts", s.create)
	api("GET /api/v4/posts/{id}/thread", s.thread)
	api("PUT /api/v4/posts/{id}/patch", s.patch)
	api("DELETE /api/v4/posts/{id}", s.remove)
	return mux
}

// problem is Mattermost's error document.
type problem struct {
	ID      string `json:"id"`
	Message string `json:"message"`
	Detail  string `json:"detailed_error"`
	Request string `json:"request_id"`
	Status  int    `json:"status_code"`
}

func refuse(status int, id, message string) (int, any) {
	return status, problem{ID: id, Message: message, Status: status}
}

func forbidden() (int, any) {
	return refuse(http.StatusForbidden, "api.context.permissions.app_error", "You do not have the appropriate permissions.")
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// api checks the token and the size, and lies while the database is down.
func (s *Server) api(w http.ResponseWriter, r *http.Request, h func(*http.Request) (int, any)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status, v := refuse(http.StatusRequestEntityTooLarge, "api.context.request_body_too_large.app_error", "The request body is too large.")
		answer(w, status, v)
		return
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	s.mu.Lock()
	defer s.mu.Unlock()
	status, v := forbidden()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+s.o.Token:
		status, v = refuse(http.StatusUnauthorized, "api.context.session_expired.app_error", "Invalid or expired session, please login again.")
	case !s.down:
		status, v = h(r)
	}
	answer(w, status, v)
}

func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, doc := http.StatusOK, map[string]string{"status": "OK"}
	if r.FormValue("get_server_status") == "true" {
		doc["database_status"] = "OK"
		if s.down {
			status, doc = http.StatusInternalServerError, map[string]string{"status": "UNHEALTHY", "database_status": "UNHEALTHY"}
		}
	}
	answer(w, status, doc)
}

type named struct {
	ID       string `json:"id"`
	Username string `json:"username,omitempty"`
	Name     string `json:"name,omitempty"`
	TeamID   string `json:"team_id,omitempty"`
	Type     string `json:"type,omitempty"`
	DeleteAt int64  `json:"delete_at"`
}

func (s *Server) me(*http.Request) (int, any) {
	return http.StatusOK, named{ID: ID("user", s.o.Bot), Username: s.o.Bot}
}

func (s *Server) teams(*http.Request) (int, any) {
	list, seen := []named{}, map[string]bool{}
	for _, r := range s.o.Rooms {
		if !seen[r.Team] {
			seen[r.Team] = true
			list = append(list, named{ID: ID("team", r.Team), Name: r.Team})
		}
	}
	return http.StatusOK, list
}

func (s *Server) user(r *http.Request) (int, any) {
	name := r.PathValue("name")
	if _, ok := s.users[ID("user", name)]; !ok {
		return refuse(http.StatusNotFound, "app.user.get_by_username.app_error", "Unable to find an existing account matching your username.")
	}
	return http.StatusOK, named{ID: ID("user", name), Username: name}
}

func (s *Server) team(r *http.Request) (int, any) {
	for _, room := range s.rooms {
		if room.Team != "" && ID("team", room.Team) == r.PathValue("id") {
			return http.StatusOK, named{ID: r.PathValue("id"), Name: room.Team}
		}
	}
	return refuse(http.StatusNotFound, "app.team.get.find.app_error", "Unable to find the existing team.")
}

func channelDoc(id string, r *Room) named {
	n := named{ID: id, Name: r.Name, TeamID: ID("team", r.Team), Type: "O"}
	if r.Archived {
		n.DeleteAt = 1
	}
	return n
}

func (s *Server) roomByName(r *http.Request) (int, any) {
	id, room := s.room(r.PathValue("team"), r.PathValue("room"))
	if room == nil {
		return refuse(http.StatusNotFound, "app.channel.get_by_name.missing.app_error", "Channel does not exist.")
	}
	return http.StatusOK, channelDoc(id, room)
}

func (s *Server) roomByID(r *http.Request) (int, any) {
	room, ok := s.rooms[r.PathValue("id")]
	if !ok {
		return refuse(http.StatusNotFound, "app.channel.get.existing.app_error", "Unable to find the existing channel.")
	}
	return http.StatusOK, channelDoc(r.PathValue("id"), room)
}

func (s *Server) member(r *http.Request) (int, any) {
	room, ok := s.rooms[r.PathValue("id")]
	switch {
	case !ok:
		return forbidden()
	case room.Closed:
		return refuse(http.StatusNotFound, "app.channel.get_member.missing.app_error", "No channel member found.")
	}
	return http.StatusOK, map[string]string{"channel_id": r.PathValue("id"), "user_id": ID("user", s.o.Bot)}
}

func (s *Server) direct(r *http.Request) (int, any) {
	var ids []string
	if json.NewDecoder(r.Body).Decode(&ids) != nil || len(ids) != 2 {
		return refuse(http.StatusBadRequest, "api.context.invalid_body_param.app_error", "Invalid or missing user_ids in request body.")
	}
	a, b := s.users[ids[0]], s.users[ids[1]]
	id := directID(a, b)
	if s.rooms[id] == nil {
		return refuse(http.StatusBadRequest, "api.channel.create_direct_channel.invalid_user.app_error", "Invalid user ID.")
	}
	return http.StatusCreated, named{ID: id, Type: "D"}
}
