package renderers

import (
	"fmt"
	"strings"

	"sitrep/channels"
	"sitrep/incident"
)

func (w *work) mattermost() (channels.Message, error) {
	text, err := w.execute("text")
	if err != nil {
		return channels.Message{}, err
	}
	card, err := w.execute("card")
	if err != nil {
		return channels.Message{}, err
	}
	posts, err := w.posts(finishMattermost(text), finishMattermost(card))
	if err != nil {
		return channels.Message{}, err
	}
	payload, err := marshal(posts)
	if err != nil {
		return channels.Message{}, fmt.Errorf("render posts: %w", err)
	}
	return channels.Message{Format: channels.FormatMattermost, Text: unmarkCode(finishMattermost(text)), Payload: payload}, nil
}

func (w *work) posts(text, card string) (channels.Posts, error) {
	box := w.attachment()
	posts := channels.Posts{
		Card:     channels.Post{Text: unmarkCode(card), Attachments: []channels.Attachment{w.cardAttachment()}},
		Priority: priority(w.request.Update),
	}
	room := roomFor(w.request.Limits, channels.Post{Attachments: []channels.Attachment{box}})
	parts, err := split(text, room)
	if err != nil || !sizeOf(posts.Card.Text).within(roomFor(w.request.Limits, channels.Post{Attachments: posts.Card.Attachments})) {
		return channels.Posts{}, w.tooSmall()
	}
	for _, p := range parts {
		posts.Posts = append(posts.Posts, channels.Post{Text: unmarkCode(p)})
	}
	posts.Posts[0].Attachments = []channels.Attachment{box}
	return posts, nil
}

func (w *work) tooSmall() error {
	l := w.request.Limits
	return fmt.Errorf("posts of %d characters and %d bytes (0: any) on the channel %q are too small for an update, even one split over several posts: the title, the status and one word of the text must fit in each",
		l.TextRunes, l.PayloadBytes, w.request.Channel)
}

// priority marks the root post of an incident's thread: a SEV1 that goes on is
// urgent and a SEV2 that goes on important. It is of the root only, so it calls
// people once per incident.
func priority(u incident.Update) string {
	switch {
	case u.Status == incident.Resolved:
		return ""
	case u.Severity == 1:
		return "urgent"
	case u.Severity == 2:
		return "important"
	default:
		return ""
	}
}

// attachment is the coloured box: status by word, icon and colour, elapsed time and
// promise.
func (w *work) attachment() channels.Attachment {
	v := w.view
	next := escapeMattermost(v.NextUpdate)
	return channels.Attachment{
		Fallback: fallback(w.request, v),
		Color:    v.Status.Color,
		Fields: []channels.Field{
			{Title: "Status", Value: v.Status.Emoji + " " + v.Status.Word, Short: true},
			{Title: "Incident time", Value: v.Elapsed, Short: true},
			{Title: "Next update", Value: next, Short: true},
		},
	}
}

// cardAttachment is the box of the incident at a glance.
func (w *work) cardAttachment() channels.Attachment {
	v, a := w.view, w.attachment()
	a.Fields = append(a.Fields,
		channels.Field{Title: "Started", Value: escapeMattermost(v.Started.Both), Short: true},
		channels.Field{Title: "Last update", Value: escapeMattermost(v.At.Both), Short: true})
	if v.Incident != "" {
		a.Fields = append(a.Fields, channels.Field{Title: "Incident", Value: v.Incident, Short: true})
	}
	return a
}

// fallback is the box in plain words, for notifications.
func fallback(r Request, v View) string {
	return finishChat(fmt.Sprintf("%s: %s. Incident time: %s. Next update: %s.",
		title(r.Update, r.Audience), v.Status.Word, v.Elapsed, v.NextUpdate))
}

// finishMattermost makes sure, whatever a template added, that nothing outside code
// mentions anybody or is Slack's <…> syntax, which webhooks rewrite. Code is still
// marked, so that the text can be split.
func finishMattermost(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r", ""))
	s = strings.ReplaceAll(defuseMentions(s), "<", "&lt;")
	for strings.Contains(s, "\n\n\n") {
		s = strings.ReplaceAll(s, "\n\n\n", "\n\n")
	}
	return s
}
