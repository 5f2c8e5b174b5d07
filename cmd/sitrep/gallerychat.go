package main

import (
	"bytes"
	"fmt"
	"html/template"
	"regexp"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"

	"sitrep/channels"
)

// roomView is what a room shows: posts, oldest first.
type roomView struct {
	Name, Note string
	Posts      []postView
}

// postView is one post.
type postView struct {
	ID, From, Time string
	Label          string // what it is, for people who look at the gallery
	Priority       string // "urgent", "important" or empty
	Edited, Reply  bool
	Body           template.HTML
	Boxes          []boxView
}

// boxView is an attachment: a box with a coloured bar.
type boxView struct {
	Color, Title string
	Body         template.HTML
	Fields       []fieldView
}

type fieldView struct {
	Title string
	Short bool
	Body  template.HTML
}

// drawPosts shows the posts of one update as they are posted: the card and the
// update in its thread, or the update alone where a channel knows no threads.
func drawPosts(p channels.Posts, threads bool) *roomView {
	c := newChatter()
	room := &roomView{}
	add := func(post channels.Post, label, priority string) {
		room.Posts = append(room.Posts, postView{
			From: "sitrep", Label: label, Priority: priority, Reply: len(room.Posts) > 0 && threads, Body: c.markdown(post.Text), Boxes: c.boxes(post.Attachments),
		})
	}
	if threads {
		add(p.Card, "the thread's first post, kept up to date", p.Priority)
	}
	for i, post := range p.Posts {
		label := "the update"
		if len(p.Posts) > 1 {
			label = fmt.Sprintf("the update, part %d of %d", i+1, len(p.Posts))
		}
		add(post, label, "")
	}
	return room
}

// chatter turns Mattermost's Markdown into harmless HTML.
type chatter struct {
	md     goldmark.Markdown
	policy *bluemonday.Policy
}

func newChatter() chatter {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li",
		"h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("align").Matching(bluemonday.CellAlign).OnElements("th", "td")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return chatter{
		md: goldmark.New( // Mattermost breaks lines where the author did
			goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
			goldmark.WithRendererOptions(html.WithHardWraps()),
		),
		policy: p,
	}
}

func (c chatter) markdown(text string) template.HTML {
	var b bytes.Buffer
	if err := c.md.Convert([]byte(text), &b); err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") // escaped
	}
	clean := c.policy.SanitizeBytes(b.Bytes())
	return template.HTML(focusable.Replace(string(clean))) // sanitised
}

// focusable lets the keyboard reach what scrolls. The sanitiser leaves these elements
// no attributes, and no text that looks like them.
var focusable = strings.NewReplacer("<pre>", `<pre tabindex="0">`, "<table>", `<table tabindex="0">`)

var hexColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (c chatter) boxes(all []channels.Attachment) []boxView {
	boxes := make([]boxView, 0, len(all))
	for _, a := range all {
		b := boxView{Color: "#8d93a5", Title: a.Title, Body: c.markdown(a.Text)}
		if hexColor.MatchString(a.Color) {
			b.Color = a.Color
		}
		for _, f := range a.Fields {
			b.Fields = append(b.Fields, fieldView{Title: f.Title, Short: f.Short, Body: c.markdown(f.Value)})
		}
		boxes = append(boxes, b)
	}
	return boxes
}
