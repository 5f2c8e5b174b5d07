package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"strings"
	"time"

	"sitrep/channels"
)

// The gallery draws what was rendered as its readers see it: mail on a phone and on
// a desktop, chat posts, the status page, plain text. preview --html and the
// demonstration share it.
//
// What it draws is hostile text. Whole documents (mail, the status page) go into
// frames that run nothing and load nothing; chat is sanitised; all else is escaped.

//go:embed gallery
var galleryFiles embed.FS

// galleryCSP is the policy of every page with drawings in it. Frames made of srcdoc
// inherit it. Inline styles are allowed because mail consists of them.
const galleryCSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

// galleryTemplate is the page of that name with the parts all pages share.
func galleryTemplate(page string) (*template.Template, error) {
	css, err := galleryFiles.ReadFile("gallery/style.css")
	if err != nil {
		return nil, err
	}
	return template.New(page).Option("missingkey=error").Funcs(template.FuncMap{
		"style": func() template.HTML { return template.HTML("<style>\n" + string(css) + "</style>") }, // embedded
		"csp":   func() string { return galleryCSP },
		"count": count,
	}).ParseFS(galleryFiles, "gallery/parts.html", "gallery/"+page)
}

// drawing is one message as its readers see it. One of its fields is set.
type drawing struct {
	Mail *mailView
	Room *roomView
	Page *pageView
	Text string
}

// mailView is a mail. HTML is a whole document, for a frame.
type mailView struct {
	Subject, From, To string
	HTML              string
	Text              string // as a reader of format=flowed shows it
}

// pageView is the status page. Document is the whole of it, for a frame.
type pageView struct{ Name, Document string }

// scene is what is around a message where it is read.
type scene struct {
	title   string    // at the top of status pages
	threads bool      // the channel posts an incident's card and keeps it up to date
	now     time.Time // the clock of whoever looks
}

// draw draws a message.
func draw(m channels.Message, in scene) (drawing, error) {
	switch m.Format {
	case channels.FormatEmail:
		return drawing{Mail: &mailView{Subject: m.Subject, HTML: m.HTML, Text: unflow(m.Text)}}, nil
	case channels.FormatMattermost:
		var posts channels.Posts
		if err := json.Unmarshal(m.Payload, &posts); err != nil {
			return drawing{}, fmt.Errorf("draw the chat posts: %w", err)
		}
		return drawing{Room: drawPosts(posts, in.threads)}, nil
	case channels.FormatPage:
		document, err := drawPage(m.Payload, in)
		return drawing{Page: &pageView{Name: "Status page", Document: document}}, err
	case channels.FormatText, channels.FormatChat:
		return drawing{Text: m.Text}, nil
	}
	return drawing{}, fmt.Errorf("draw the message: there is no picture of the format %q", m.Format)
}

// unflow joins the lines of a paragraph as a mail reader does (format=flowed,
// RFC 3676 section 4): a line that ends in a space goes on in the next one of the
// same quote depth.
func unflow(text string) string {
	var out strings.Builder
	depth, open := 0, false
	for i, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		body := strings.TrimLeft(l, ">")
		d := len(l) - len(body)
		body = strings.TrimPrefix(body, " ") // space-stuffed
		if open && d == depth {
			out.WriteString(body)
		} else {
			if i > 0 {
				out.WriteByte('\n')
			}
			out.WriteString(quote(d) + body)
		}
		depth, open = d, strings.HasSuffix(l, " ") && body != "-- "
	}
	return out.String()
}

func quote(depth int) string {
	if depth == 0 {
		return ""
	}
	return strings.Repeat(">", depth) + " "
}
