package channels

import "time"

// Format names what a channel takes and a renderer makes.
type Format string

// The formats. Each says which fields of a [Message] it fills.
const (
	// FormatText is plain text: Subject and Text. Text is usable by itself, in
	// lines of at most 78 columns.
	FormatText Format = "text"

	// FormatEmail is Subject, Text (format=flowed, RFC 3676) and HTML: the two
	// parts of a multipart/alternative, each complete by itself.
	FormatEmail Format = "email"

	// FormatMattermost is Text (the whole update as Markdown, for a log) and
	// Payload: a JSON document of type [Posts].
	FormatMattermost Format = "mattermost"

	// FormatPage is Payload: a JSON document of type [PageUpdate].
	FormatPage Format = "page"

	// FormatChat is Subject and Text in a cautious plain style that reads well in
	// any chat program, with every mention and link syntax defused.
	FormatChat Format = "chat"
)

// Message is a rendered update: the border between those who know incidents and
// those who know protocols. It is the same for all its recipients; what differs
// per recipient (To, Message-ID, links) the channel adds from the [Envelope].
//
// Subject is one line without control characters. All text is valid UTF-8 without
// U+0000. A Message is immutable once rendered.
type Message struct {
	Format  Format `json:"format"`
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text,omitempty"`
	HTML    string `json:"html,omitempty"`
	Payload []byte `json:"payload,omitempty"` // JSON; what is in it depends on Format
}

// Limits are the most a channel takes. Zero means no limit. A renderer keeps to
// them by splitting at paragraphs where the format can be split, and otherwise
// fails: nothing is ever cut.
type Limits struct {
	SubjectRunes int // of Message.Subject
	TextRunes    int // of Message.Text, or of each post of a Posts
	HTMLBytes    int // of Message.HTML
	PayloadBytes int // of Message.Payload, or of each post of a Posts as JSON
}

// Posts is the payload of [FormatMattermost]: the posts to make, in order, and the
// card that the first post of an incident's thread shows and keeps up to date.
type Posts struct {
	// Card is the incident at a glance. A channel that threads posts it once as
	// the root and edits it in place with every update; one that cannot thread
	// does not post it, for Posts are complete by themselves.
	Card Post `json:"card"`

	// Posts is this update. The first carries the attachment; a text too long for
	// one post continues in the next, split at a paragraph.
	Posts []Post `json:"posts"`

	// Priority is "", "important" or "urgent"; for the root post only.
	Priority string `json:"priority,omitempty"`
}

// Post is one chat post.
type Post struct {
	Text        string       `json:"text"`
	Attachments []Attachment `json:"attachments,omitempty"`
}

// Attachment is a Mattermost message attachment (Slack's legacy attachment).
// https://developers.mattermost.com/integrate/reference/message-attachments/
type Attachment struct {
	Fallback string  `json:"fallback"`
	Color    string  `json:"color,omitempty"` // #rrggbb
	Title    string  `json:"title,omitempty"`
	Text     string  `json:"text,omitempty"`
	Fields   []Field `json:"fields,omitempty"`
}

// Field is one field of an [Attachment].
type Field struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short,omitempty"`
}

// PageUpdate is the payload of [FormatPage]: one update as the built-in status page
// shows and keeps it. HTML in it is already safe to put into a page as it is.
type PageUpdate struct {
	// Incident is stable for the incident and does not spell its id. It is a plain
	// hash, so whoever can guess an id can try it: it groups the updates of a page and
	// is never shown. What readers see of it in links is keyed with the page's token.
	Incident string `json:"incident"`

	Seq      int    `json:"seq"`
	Audience string `json:"audience"` // internal, customer or public
	Title    string `json:"title"`    // names nobody whom the audience may not know
	Severity string `json:"severity,omitempty"`
	Status   string `json:"status"` // investigating, identified, monitoring or resolved
	Zone     string `json:"zone"`   // IANA name: how the page shows times

	At      time.Time `json:"at"`
	Started time.Time `json:"started"`
	Next    time.Time `json:"next,omitzero"`

	Sections []PageSection `json:"sections"`
}

// PageSection is one section of a [PageUpdate].
type PageSection struct {
	Heading string `json:"heading"` // plain text; empty for the summary
	HTML    string `json:"html"`
	Text    string `json:"text"` // the same as plain text, for feeds and JSON
}
