package renderers

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	xhtml "golang.org/x/net/html"

	"sitrep/channels"
	"sitrep/incident"
)

// MaxEmailHTML is the most HTML an e-mail may have, in bytes: Gmail hides what is
// beyond about 102 KB behind a link that few follow.
const MaxEmailHTML = 102 * 1024

func (w *work) email() (channels.Message, error) {
	m := channels.Message{Format: channels.FormatEmail}
	var err error
	if m.Subject, err = w.subject(); err != nil {
		return channels.Message{}, err
	}
	if m.Text, err = w.execute("text"); err != nil {
		return channels.Message{}, err
	}
	m.Text = finishText(m.Text, true)
	if m.HTML, err = w.execute("html"); err != nil {
		return channels.Message{}, err
	}
	m.HTML = compact(m.HTML)
	return m, w.fits(m)
}

// fits refuses a message that is longer than its channel takes, because nothing is
// ever cut.
func (w *work) fits(m channels.Message) error {
	limits := w.request.Limits
	most := MaxEmailHTML
	if limits.HTMLBytes > 0 {
		most = min(most, limits.HTMLBytes)
	}
	if n := len(m.HTML); n > most {
		return w.tooLong("e-mail", n, most, "bytes of HTML (mail programs hide what is longer)")
	}
	if n := utf8.RuneCountInString(m.Text); limits.TextRunes > 0 && n > limits.TextRunes {
		return w.tooLong("message", n, limits.TextRunes, "characters")
	}
	return nil
}

// tooLong is the error for the author of an update that does not fit: which section
// to shorten, and by how much.
func (w *work) tooLong(what string, n, most int, unit string) error {
	longest := VisibleSection{}
	for _, s := range Visible(w.request.Update, w.request.Audience) {
		if len(s.Body) > len(longest.Body) {
			longest = s
		}
	}
	on := ""
	if w.request.Channel != "" {
		on = fmt.Sprintf(" for the channel %q", w.request.Channel)
	}
	return incident.Problems{{
		Line: longest.Line,
		What: fmt.Sprintf("The %s%s (%s) would have %d %s and at most %d fit; the longest section is %q.",
			what, on, w.request.Audience, n, unit, most, longest.Heading),
		Remedy: fmt.Sprintf("Shorten it by about %d characters, or put the details where a link can lead to them.", n-most),
	}}
}

// preheader is what an inbox shows beside the subject. It begins with the status, since
// an operator's template for the subject may leave it out.
func preheader(v View, docs []document) string {
	lead := v.Status.Word + ", " + v.Elapsed + ". "
	if v.Next != nil {
		lead += "Next update: " + v.Next.Local + ". "
	}
	for _, d := range docs {
		for _, b := range d.blocks {
			if b.kind == paragraph {
				return lead + excerpt(oneLine(plainText(b.inlines)), 120)
			}
		}
	}
	return lead
}

// excerpt is the beginning of s up to a space: for hints, never for the text itself.
func excerpt(s string, runes int) string {
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	short := string([]rune(s)[:runes])
	if i := strings.LastIndexByte(short, ' '); i > 0 {
		short = short[:i]
	}
	return short + "…"
}

// compact drops the indentation and empty lines of the template, outside of
// preformatted text, which has to be kept.
func compact(doc string) string {
	var b strings.Builder
	pre := false
	doc = strings.NewReplacer(string(markSoft), "", string(markQuote), "&gt; ").Replace(strings.Trim(doc, "\n"))
	for l := range strings.SplitSeq(doc, "\n") {
		if !pre {
			l = strings.TrimSpace(l)
		}
		opens, closes := strings.LastIndex(l, "<pre"), strings.LastIndex(l, "</pre>")
		if opens != closes {
			pre = opens > closes
		}
		if l != "" || pre {
			b.WriteString(l + "\n")
		}
	}
	return b.String()
}

// safeHTML refuses a document that would do something in a mail program: it is what
// an operator's template is held to.
func safeHTML(doc string) error {
	var errs []error
	z := xhtml.NewTokenizer(strings.NewReader(doc))
	for {
		switch z.Next() {
		case xhtml.ErrorToken:
			return errors.Join(errs...)
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			t := z.Token()
			errs = append(errs, safeTag(t)...)
		}
	}
}

func safeTag(t xhtml.Token) []error {
	var errs []error
	switch t.Data {
	case "script", "iframe", "frame", "object", "embed", "form", "input", "button", "base", "link", "svg", "math", "video", "audio":
		errs = append(errs, fmt.Errorf("<%s> is not allowed in an e-mail: mail programs drop it or distrust the message", t.Data))
	}
	for _, a := range t.Attr {
		if strings.HasPrefix(a.Key, "on") {
			errs = append(errs, fmt.Errorf("%s on <%s> is not allowed: it is a script", a.Key, t.Data))
		}
		if (a.Key == "href" || a.Key == "src") && !safeAddress(t.Data, a) {
			errs = append(errs, fmt.Errorf("%s=%q on <%s> is not allowed: use an http, https or mailto address", a.Key, excerpt(a.Val, 60), t.Data))
		}
	}
	return errs
}

func safeAddress(tag string, a xhtml.Attribute) bool {
	if tag == "a" && strings.HasPrefix(a.Val, "#") {
		return true
	}
	_, ok := safeURL(a.Val)
	return ok
}
