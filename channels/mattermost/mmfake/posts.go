package mmfake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sitrep/channels"
)

// draft is what a client may say of a post.
type draft struct {
	Channel  string         `json:"channel_id"`
	Root     string         `json:"root_id"`
	Message  *string        `json:"message"`
	Pending  string         `json:"pending_post_id"`
	Props    map[string]any `json:"props"`
	Metadata struct {
		Priority *struct {
			Priority string `json:"priority"`
		} `json:"priority"`
	} `json:"metadata"`
}

func (s *Server) create(r *http.Request) (int, any) {
	var d draft
	if json.NewDecoder(r.Body).Decode(&d) != nil || d.Message == nil {
		return refuse(http.StatusBadRequest, "api.context.invalid_body_param.app_error", "Invalid or missing post in request body.")
	}
	if p, ok := s.pending[d.Pending]; ok && d.Pending != "" && s.o.Now().Sub(p.at) < dedupe {
		return http.StatusCreated, document(p.post)
	}
	if status, v := s.unfit(d); v != nil {
		return status, v
	}
	p := Post{Root: d.Root, From: s.o.Bot, Text: *d.Message, Props: d.Props, Attachments: attachments(d.Props)}
	if d.Metadata.Priority != nil {
		p.Priority = d.Metadata.Priority.Priority
	}
	post := s.add(d.Channel, p)
	s.pending[d.Pending] = pending{post, s.o.Now()}
	return http.StatusCreated, document(post)
}

// unfit says why a post is refused.
func (s *Server) unfit(d draft) (int, any) {
	room := s.rooms[d.Channel]
	switch {
	case room == nil || room.Closed:
		return forbidden()
	case room.Archived:
		return refuse(http.StatusBadRequest, "api.post.create_post.can_not_post_to_deleted.error", "Can not post to deleted channel.")
	case utf8.RuneCountInString(*d.Message) > maxRunes:
		return refuse(http.StatusBadRequest, "model.post.is_valid.message_length.app_error", "Post Message property is longer than the maximum permitted length.")
	case strings.ContainsRune(*d.Message, 0):
		return refuse(http.StatusInternalServerError, "app.post.save.app_error", "Unable to save the Post.")
	case d.Root != "" && d.Metadata.Priority != nil:
		return refuse(http.StatusBadRequest, "api.post.post_priority.priority_post_only_allowed_for_root_post.request_error", "Only root posts can have priority.")
	case d.Root == "":
		return 0, nil
	}
	if root := s.find(d.Root); root == nil || root.Root != "" || root.channel != d.Channel {
		return refuse(http.StatusBadRequest, "api.post.create_post.root_id.app_error", "Invalid RootId parameter.")
	}
	return 0, nil
}

func attachments(props map[string]any) []channels.Attachment {
	raw, err := json.Marshal(props["attachments"])
	var list []channels.Attachment
	if err != nil || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return list
}

// document is a post as the API shows it.
func document(p *stored) map[string]any {
	edited, deleted := int64(0), int64(0)
	if !p.Edited.IsZero() {
		edited = p.Edited.UnixMilli()
	}
	if p.Deleted {
		deleted = p.Edited.UnixMilli()
	}
	return map[string]any{
		"id": p.ID, "channel_id": p.channel, "root_id": p.Root, "message": p.Text, "props": p.Props, "user_id": ID("user", p.From),
		"create_at": p.Created.UnixMilli(), "update_at": max(p.Created.UnixMilli(), edited), "edit_at": edited, "delete_at": deleted, "type": "",
	}
}

func list(posts []*stored) map[string]any {
	order, byID := []string{}, map[string]any{}
	for _, p := range posts {
		order = append(order, p.ID)
		byID[p.ID] = document(p)
	}
	return map[string]any{"order": order, "posts": byID, "next_post_id": "", "prev_post_id": ""}
}

// since lists what was changed in a room, newest first, deleted posts included.
func (s *Server) since(r *http.Request) (int, any) {
	ms, err := strconv.ParseInt(r.FormValue("since"), 10, 64)
	room := s.rooms[r.PathValue("id")]
	if room == nil || room.Closed {
		return forbidden()
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "api.context.invalid_url_param.app_error", "Invalid or missing since parameter in request URL.")
	}
	var found []*stored
	for _, p := range slices.Backward(s.posts) {
		if p.channel == r.PathValue("id") && max(p.Created.UnixMilli(), p.Edited.UnixMilli()) > ms && len(found) < maxListed {
			found = append(found, p)
		}
	}
	return http.StatusOK, list(found)
}

func (s *Server) thread(r *http.Request) (int, any) {
	root := s.find(r.PathValue("id"))
	if root == nil {
		return refuse(http.StatusNotFound, "app.post.get.app_error", "Unable to get the post.")
	}
	found := []*stored{root}
	for _, p := range s.posts {
		if p.Root == root.ID && !p.Deleted {
			found = append(found, p)
		}
	}
	return http.StatusOK, list(found)
}

func (s *Server) patch(r *http.Request) (int, any) {
	var d draft
	p := s.find(r.PathValue("id"))
	switch {
	case json.NewDecoder(r.Body).Decode(&d) != nil:
		return refuse(http.StatusBadRequest, "api.context.invalid_body_param.app_error", "Invalid or missing post in request body.")
	case p == nil || p.From != s.o.Bot:
		return forbidden()
	case d.Message != nil && utf8.RuneCountInString(*d.Message) > maxRunes:
		return refuse(http.StatusBadRequest, "model.post.is_valid.message_length.app_error", "Post Message property is longer than the maximum permitted length.")
	}
	if d.Message != nil {
		p.Text = *d.Message
	}
	if d.Props != nil {
		p.Props, p.Attachments = d.Props, attachments(d.Props)
	}
	p.Edited = s.o.Now()
	s.announce()
	return http.StatusOK, document(p)
}

func (s *Server) remove(r *http.Request) (int, any) {
	p := s.find(r.PathValue("id"))
	if p == nil {
		return forbidden()
	}
	p.Deleted, p.Edited = true, s.o.Now()
	s.announce()
	return http.StatusOK, map[string]string{"status": "OK"}
}
