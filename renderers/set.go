package renderers

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"strings"
	texttemplate "text/template"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark/parser"

	"sitrep/channels"
	"sitrep/incident"
)

//go:embed templates/*.tmpl
var builtinFiles embed.FS

// Set is the templates in use: the built-in ones and an operator's. It never
// changes once made and is safe for concurrent use.
type Set struct {
	builtin   map[part]executor
	overrides []override // most particular first

	// What never changes and is dear to make: the parser, and for each kind of HTML
	// the attributes of its elements and its sanitiser.
	markdown  parser.Parser
	mailAttrs map[string]string
	mailNet   *bluemonday.Policy
	pageNet   *bluemonday.Policy
}

// part is one piece of a message that has a template of its own.
type part struct {
	format channels.Format
	name   string // subject, text, html, card or title
}

// file is the template's name in a templates directory: "email.html.tmpl".
func (p part) file() string { return string(p.format) + "." + p.name + ".tmpl" }

// partsOf lists the parts of a format, none for a format without a renderer.
func partsOf(f channels.Format) []part {
	names := map[channels.Format][]string{
		channels.FormatText:       {"subject", "text"},
		channels.FormatEmail:      {"subject", "text", "html"},
		channels.FormatMattermost: {"text", "card"},
		channels.FormatPage:       {"title"},
		channels.FormatChat:       {"subject", "text"},
	}
	var parts []part
	for _, n := range names[f] {
		parts = append(parts, part{f, n})
	}
	return parts
}

func allParts() []part {
	var all []part
	for _, f := range formats() {
		all = append(all, partsOf(f)...)
	}
	return all
}

func formats() []channels.Format {
	return []channels.Format{
		channels.FormatText, channels.FormatEmail, channels.FormatMattermost,
		channels.FormatPage, channels.FormatChat,
	}
}

// executor is a parsed template, of text or of HTML.
type executor interface {
	Execute(w io.Writer, data any) error
}

// Builtin is the set without any template of an operator's.
func Builtin() *Set {
	s := &Set{
		builtin: map[part]executor{}, markdown: newParser(),
		mailAttrs: mailAttrs(), mailNet: net(mailAttrs()), pageNet: net(pageAttrs()),
	}
	for _, p := range allParts() {
		t, err := parsePart(p, p.file(), "")
		if err != nil {
			panic(fmt.Sprintf("built-in template: %v", err)) // a test renders every one
		}
		s.builtin[p] = t
	}
	return s
}

// parsePart reads the built-in template of p and, on top of it, an operator's source:
// one that only defines blocks changes only those.
func parsePart(p part, name, source string) (executor, error) {
	base, err := builtinFiles.ReadFile("templates/" + p.file())
	if err != nil {
		return nil, fmt.Errorf("%s is missing from the program: %w", p.file(), err)
	}
	if p.name == "html" {
		t, err := htmltemplate.New(name).Option("missingkey=error").Funcs(funcs()).Parse(string(base))
		if err != nil || source == "" {
			return t, err
		}
		return t.Parse(source)
	}
	t, err := texttemplate.New(name).Option("missingkey=error").Funcs(funcs()).Parse(string(base))
	if err != nil || source == "" {
		return t, err
	}
	return t.Parse(source)
}

// execute runs the template of a part: the operator's most particular one, or the
// built-in if there is none or it fails.
func (w *work) execute(name string) (string, error) {
	p := part{w.request.Format, name}
	if o, ok := w.set.override(p, w.request); ok {
		out, err := run(o.template, w.view, p.check)
		if err == nil {
			return out, nil
		}
		w.fallback = append(w.fallback, fmt.Errorf("%s was not used, the built-in template was: %w", o.path, err))
	}
	out, err := run(w.set.builtin[p], w.view, p.check)
	if err != nil {
		return "", fmt.Errorf("render %s: %w", p.file(), err)
	}
	return out, nil
}

// check says whether what a template wrote is fit to be sent.
func (p part) check(out string) error {
	if oneLine(out) == "" {
		return errors.New("it writes nothing")
	}
	if p.name == "html" {
		return safeHTML(out)
	}
	return nil
}

// run executes a template. A template that panics has failed like any other.
func run(t executor, v View, check func(string) error) (out string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the template panicked: %v", p)
		}
	}()
	var b strings.Builder
	if err := t.Execute(&limited{w: &b, left: maxOutput}, v); err != nil {
		return "", err
	}
	return b.String(), check(b.String())
}

// maxOutput ends a template that writes without end.
const maxOutput = 16 << 20

var errEndless = errors.New("it writes more than 16 MiB")

type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if l.left -= len(p); l.left < 0 {
		return 0, errEndless
	}
	return l.w.Write(p)
}

func (s *Set) override(p part, r Request) (override, bool) {
	for _, o := range s.overrides {
		if o.part == p && o.serves(r.Channel, r.Update.Customer, r.Audience) {
			return o, true
		}
	}
	return override{}, false
}

// override is a template of an operator's and what it is for: an empty field means
// any.
type override struct {
	part     part
	path     string // in the templates directory
	customer string
	channel  string
	audience incident.Audience
	source   string
	template executor
}

func (o override) serves(channel, customer string, a incident.Audience) bool {
	return (o.channel == "" || o.channel == channel) &&
		(o.customer == "" || o.customer == customer) &&
		(o.audience == "" || o.audience == a)
}

// weight orders overrides: one for the customer beats one for the channel, that
// beats one for the audience, and each beats one for everybody.
func (o override) weight() int {
	n := 0
	for bit, set := range []bool{o.audience != "", o.channel != "", o.customer != ""} {
		if set {
			n |= 1 << bit
		}
	}
	return n
}
