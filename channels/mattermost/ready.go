package mattermost

import (
	"encoding/json"
	"fmt"
	"sync"

	"sitrep/channels"
)

// ready is an update as a webhook takes it, but for what differs between rooms. An
// update goes to thousands of them, and reading and encoding it anew for each would
// cost as much as the request.
type ready struct {
	of       []byte // the Message.Payload it was made from
	priority string
	posts    []json.RawMessage // {"text":…,"attachments":[…]
}

// shelf keeps the update that was made ready last. A Message is immutable and shared by
// its deliveries, so the same bytes are the same update; and as long as they are kept
// here no other can be in their place. Its zero value is empty.
type shelf struct {
	mu   sync.Mutex
	last ready
}

func (s *shelf) get(m channels.Message, username string) (ready, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Format == channels.FormatMattermost && same(s.last.of, m.Payload) {
		return s.last, nil
	}
	posts, err := payload(m)
	if err != nil {
		return ready{}, err
	}
	s.last = ready{of: m.Payload, priority: posts.Priority}
	for _, p := range posts.Posts {
		s.last.posts = append(s.last.posts, opened(hookText{
			Text: unslack(p.Text), Username: username, Attachments: unslackAll(p.Attachments),
		}))
	}
	return s.last, nil
}

// same reports that a and b are not only equal but the same memory.
func same(a, b []byte) bool { return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0] }

// hookText and hookRoom are together what a webhook takes: the same for all rooms, and
// for one.
type hookText struct {
	Text        string                `json:"text"`
	Username    string                `json:"username,omitempty"`
	Attachments []channels.Attachment `json:"attachments,omitempty"`
}

type hookRoom struct {
	Channel  string            `json:"channel,omitempty"`
	Props    props             `json:"props"`
	Priority map[string]string `json:"priority,omitempty"`
}

// opened is v as a JSON object without its end.
func opened(v any) json.RawMessage {
	b := encode(v)
	return b[: len(b)-1 : len(b)-1]
}

// in is the object that opened began, with room's members.
func in(post json.RawMessage, room hookRoom) []byte {
	b := encode(room)
	b[0] = ','
	return append(post, b...) // post has no room left, so this is a copy
}

// encode is v as JSON. It panics if v cannot be encoded, which is a mistake in the program.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("mattermost: encode %T: %v", v, err))
	}
	return b
}
