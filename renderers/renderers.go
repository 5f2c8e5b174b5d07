package renderers

import (
	"errors"
	"fmt"
	"html/template"
	"time"

	"sitrep/channels"
	"sitrep/incident"
)

// Request is one rendering: an update for one audience on one kind of channel, as
// read in one locale and zone.
type Request struct {
	Update   incident.Update
	Format   channels.Format
	Limits   channels.Limits
	Channel  string // channel id; with Update.Customer and Audience it selects an operator's template
	Audience incident.Audience

	// Locale is BCP 47. It decides how times are written (the 12-hour clock and
	// "Nov 22" for en-US, "22 Nov" and 24 hours elsewhere) and the lang attribute
	// of HTML. Empty means en-US in the zones of the United States and
	// international English elsewhere. The words stay English.
	Locale string

	Zone *time.Location // nil: Update.Zone, then UTC
}

// Rendered is a message ready for its channel.
type Rendered struct {
	Message channels.Message

	// Fallback is why an operator's template was not used and the built-in one
	// was; nil if all went well. The message is complete either way.
	Fallback error
}

// Render makes the message of r. It is pure (the same request gives the same
// bytes) and safe for concurrent use.
//
// What the author can mend (a text too long for the channel) is an error of type
// [incident.Problems], with the section's line.
func (s *Set) Render(r Request) (Rendered, error) {
	if err := r.check(); err != nil {
		return Rendered{}, err
	}
	w := s.begin(r)
	m, err := w.message()
	if err != nil {
		return Rendered{}, err
	}
	return Rendered{Message: m, Fallback: errors.Join(w.fallback...)}, nil
}

func (r Request) check() error {
	if !r.Audience.Valid() {
		return fmt.Errorf("render: %q is not an audience: use internal, customer or public", r.Audience)
	}
	if len(partsOf(r.Format)) == 0 {
		return fmt.Errorf("render: there is no renderer for the format %q", r.Format)
	}
	if r.Update.Status.Title() == "" || statusLook(r.Update.Status).Color == "" {
		return fmt.Errorf("render: %q is not a status: use investigating, identified, monitoring or resolved", r.Update.Status)
	}
	return nil
}

// work is one rendering under way.
type work struct {
	request  Request
	set      *Set
	docs     []document
	view     View
	fallback []error
}

// document is a section that the audience may see, parsed.
type document struct {
	VisibleSection
	blocks []block
}

// begin reads what the audience may see, once, and makes the view of it.
func (s *Set) begin(r Request) *work {
	w := &work{request: r, set: s, view: newView(r)}
	for _, v := range Visible(r.Update, r.Audience) {
		w.docs = append(w.docs, document{v, parseMarkdown(s.markdown, v.Body)})
	}
	w.view.Sections = w.sections()
	if r.Format == channels.FormatEmail {
		w.view.Preheader = preheader(w.view, w.docs)
	}
	return w
}

// sections writes the documents in the format. The summary needs no heading: it
// follows the title.
func (w *work) sections() []SectionView {
	esc := escaper(w.request.Format)
	var views []SectionView
	for _, d := range w.docs {
		v := w.section(d.blocks)
		v.Name = esc(d.Name)
		if d.Heading != incident.SectionSummary {
			v.Heading = esc(d.Heading)
		}
		views = append(views, v)
	}
	return views
}

func (w *work) section(bs []block) SectionView {
	switch w.request.Format {
	case channels.FormatMattermost:
		return SectionView{Text: mattermostText(bs)}
	case channels.FormatChat:
		return SectionView{Text: chatStyle().text(bs)}
	case channels.FormatEmail:
		return SectionView{
			Text: textStyle().text(bs),
			HTML: template.HTML(htmlOf(bs, w.set.mailAttrs, w.set.mailNet)), // sanitised there
		}
	default:
		return SectionView{Text: textStyle().text(bs)}
	}
}

func (w *work) message() (channels.Message, error) {
	switch w.request.Format {
	case channels.FormatText, channels.FormatChat:
		return w.plain()
	case channels.FormatEmail:
		return w.email()
	case channels.FormatMattermost:
		return w.mattermost()
	default:
		return w.page()
	}
}
