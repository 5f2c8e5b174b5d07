package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

// part is one body of a message.
type part struct{ label, text string }

// parts are the bodies that are sent, byte for byte. The payload of a format is
// what is sent instead of Text, which then is for logs only.
// threads is whether the channel posts a card.
func parts(m channels.Message, threads bool) []part {
	switch {
	case m.Format == channels.FormatMattermost:
		return postParts(m.Payload, threads)
	case m.Format == channels.FormatPage:
		return pageParts(m.Payload)
	case m.HTML != "":
		return []part{{"text/plain", m.Text}, {"text/html", m.HTML}}
	}
	return []part{{"", m.Text}}
}

// postParts are the texts and attachments of chat posts.
func postParts(payload []byte, threads bool) []part {
	var p channels.Posts
	if err := json.Unmarshal(payload, &p); err != nil {
		return []part{{"JSON", indented(payload)}}
	}
	var all []part
	if threads {
		card := "card: the thread's first post, kept up to date"
		if p.Priority != "" {
			card += ", priority " + p.Priority
		}
		all = postPart(card, "card", p.Card)
	}
	for i, post := range p.Posts {
		name := fmt.Sprintf("post %d of %d", i+1, len(p.Posts))
		all = append(all, postPart(name, name, post)...)
	}
	return all
}

func postPart(label, name string, p channels.Post) []part {
	all := []part{{label, p.Text}}
	for _, a := range p.Attachments {
		all = append(all, part{name + ", attachment", indentedValue(a)})
	}
	return all
}

// pageParts are the sections that go onto the status page.
func pageParts(payload []byte) []part {
	var u channels.PageUpdate
	if err := json.Unmarshal(payload, &u); err != nil {
		return []part{{"JSON", indented(payload)}}
	}
	head := fmt.Sprintf("%s\n%s\n%s\nat %s, since %s", u.Title, u.Severity, u.Status, u.At.Format(time.RFC3339), u.Started.Format(time.RFC3339))
	if !u.Next.IsZero() {
		head += ", next update " + u.Next.Format(time.RFC3339)
	}
	all := []part{{"title, severity, status, times", head + " (shown in " + u.Zone + ")"}}
	for _, s := range u.Sections {
		all = append(all, part{cmp.Or(s.Heading, "summary") + ", text/html", s.HTML})
	}
	return all
}

// indented is JSON for reading: the same document with line ends in it.
func indented(js []byte) string {
	var b bytes.Buffer
	if err := json.Indent(&b, js, "", "  "); err != nil {
		return string(js)
	}
	return b.String()
}

func indentedValue(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}

// headings is what an audience sees of u.
func headings(u incident.Update, a incident.Audience) []string {
	var names []string
	for _, v := range renderers.Visible(u, a) {
		names = append(names, oneLine(v.Heading))
	}
	return names
}

// hidden is what our own people see and an audience does not.
func hidden(u incident.Update, a incident.Audience) []string {
	seen := headings(u, a)
	return slices.DeleteFunc(headings(u, incident.Internal), func(name string) bool { return slices.Contains(seen, name) })
}
