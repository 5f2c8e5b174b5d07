package renderers

import (
	"fmt"
	htmltemplate "html/template"
	"strings"
	"text/template"
	"unicode/utf8"

	"sitrep/channels"
)

// plain makes messages of the formats text and chat.
func (w *work) plain() (channels.Message, error) {
	finish := finishPlain
	if w.request.Format == channels.FormatChat {
		finish = finishChat
	}
	m := channels.Message{Format: w.request.Format}
	var err error
	if m.Subject, err = w.subject(); err != nil {
		return channels.Message{}, err
	}
	if m.Text, err = w.execute("text"); err != nil {
		return channels.Message{}, err
	}
	m.Text = finish(m.Text)
	return m, w.fits(m)
}

func finishPlain(s string) string { return defuseMass(finishText(s, false)) }

// subject is one line, defused, whatever a template makes of it.
func (w *work) subject() (string, error) {
	s, err := w.execute("subject")
	if err != nil {
		return "", err
	}
	s = oneLine(s)
	switch w.request.Format {
	case channels.FormatChat:
		s = finishChat(s)
	case channels.FormatText:
		s = defuseMass(s)
	}
	if most := w.request.Limits.SubjectRunes; most > 0 && utf8.RuneCountInString(s) > most {
		return "", fmt.Errorf("the subject %q is longer than the %d characters that the channel %q takes: give the customer a shorter name, or the channel a template of its own for %s",
			excerpt(s, 80), most, w.request.Channel, part{w.request.Format, "subject"}.file())
	}
	return s, nil
}

// funcs are what templates can call, besides Go's own.
func funcs() template.FuncMap {
	return template.FuncMap{
		// field is a labelled line of a text: "Status:         Identified".
		"field": func(name, value string) string {
			const at = 16
			lines := indent(wrap(value, columnsOfText-at), pad(name+":", at, ""), strings.Repeat(" ", at))
			return strings.Join(lines, "\n")
		},
		// title is a line or more of text, underlined with a character.
		"title": func(mark, s string) string {
			lines := wrap(s, columnsOfText)
			return strings.Join(lines, "\n") + "\n" + strings.Repeat(mark, min(columnsOfText, widest(lines)))
		},
		"upper": strings.ToUpper,
		"lower": strings.ToLower,

		// What only e-mail's HTML needs.
		"outlookHead":  func() htmltemplate.HTML { return outlookHead },
		"outlookOpen":  func() htmltemplate.HTML { return outlookOpen },
		"outlookClose": func() htmltemplate.HTML { return outlookClose },
		"inboxPadding": inboxPadding,
		"ascii":        asciiHTML,
	}
}
