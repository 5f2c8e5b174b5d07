package mmfake

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"sitrep/channels"
)

// hookPost is what an incoming webhook takes.
type hookPost struct {
	Text        string                `json:"text"`
	Channel     string                `json:"channel"`
	Username    string                `json:"username"`
	Attachments []channels.Attachment `json:"attachments"`
	Props       map[string]any        `json:"props"`
	Priority    *struct {
		Priority string `json:"priority"`
	} `json:"priority"`
}

// hook answers "ok" as plain text, or an error document.
func (s *Server) hook(w http.ResponseWriter, r *http.Request) {
	p, err := decodeHook(w, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	general := func(status int) (int, any) {
		return refuse(status, "web.incoming_webhook.general.app_error", "Failed to handle the payload of the incoming webhook.")
	}
	var status int
	var v any
	id, room := s.hookRoom(p.Channel)
	switch {
	case s.down, r.PathValue("id") != s.o.Hook:
		status, v = general(http.StatusBadRequest)
	case err != nil:
		status, v = refuse(http.StatusBadRequest, "web.incoming_webhook.decode.app_error", "Failed to decode the payload of the incoming webhook.")
	case p.Text == "" && len(p.Attachments) == 0:
		status, v = general(http.StatusBadRequest)
	case room == nil && strings.HasPrefix(p.Channel, "@"):
		status, v = general(http.StatusBadRequest)
	case room == nil:
		status, v = general(http.StatusNotFound)
	default:
		s.hookPosts(id, p)
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "ok")
		return
	}
	answer(w, status, v)
}

func decodeHook(w http.ResponseWriter, r *http.Request) (p hookPost, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return p, err
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return p, err
		}
		body = []byte(form.Get("payload"))
	}
	return p, json.Unmarshal(body, &p)
}

// hookRoom is where a webhook posts: its own room unless the request names one.
func (s *Server) hookRoom(name string) (string, *Room) {
	if name == "" && len(s.o.Rooms) > 0 {
		return s.room(s.o.Rooms[0].Team, s.o.Rooms[0].Name)
	}
	return s.room("", strings.TrimPrefix(name, "#"))
}

// hookPosts splits a long text blindly; attachments go with the last part.
func (s *Server) hookPosts(room string, p hookPost) {
	runes := []rune(p.Text)
	for {
		n := min(len(runes), maxRunes)
		post := Post{From: "webhook", Text: string(runes[:n]), Props: p.Props}
		if p.Username != "" {
			post.From = p.Username
		}
		runes = runes[n:]
		if len(runes) > 0 {
			s.add(room, post)
			continue
		}
		post.Attachments = p.Attachments
		if p.Priority != nil {
			post.Priority = p.Priority.Priority
		}
		s.add(room, post)
		return
	}
}
