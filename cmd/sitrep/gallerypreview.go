package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/renderers"
)

// previewView is what the preview page shows.
type previewView struct {
	Customer, Severity string
	Status, StatusWord string
	Facts              []fact
	Warnings           []problem
	Leaks              []leakView
	Left               []left
	Renderings         int
	Recipients         int
	Groups             []audienceView
}

type fact struct{ Name, Value string }

// leakView is one thing the leak guard objects to, and all who would see it.
type leakView struct {
	renderers.Finding
	Audiences string
}

func leaks(fs []renderers.Finding) []leakView {
	var all []leakView
	for _, f := range fs {
		who := string(f.Audience)
		f.Audience = ""
		i := slices.IndexFunc(all, func(l leakView) bool { return l.Finding == f })
		if i < 0 {
			all = append(all, leakView{f, who})
			continue
		}
		all[i].Audiences += ", " + who
	}
	return all
}

// audienceView is what one audience gets.
type audienceView struct {
	Audience incident.Audience
	Who      string // in words
	Sees     []string
	Hidden   []string // sections that others see
	Cards    []cardView
}

// cardView is one rendering.
type cardView struct {
	ID         string
	Channel    string
	Format     string
	Lists      []listView
	Recipients int
	Locale     string
	Zone       string
	Subject    string
	Fallback   string
	Drawing    drawing
}

type listView struct {
	ID    string
	Count int
}

// writePreviewPage writes one self-contained page with every rendering of p to
// path, in one step, readable by nobody else: it holds internal text. scenes are
// those of the channels.
func writePreviewPage(path string, p dispatcher.Prepared, scenes func(channel string) scene) error {
	v, err := newPreviewView(p, scenes)
	if err != nil {
		return err
	}
	t, err := galleryTemplate("preview.html")
	if err != nil {
		return fmt.Errorf("make the preview page: %w", err)
	}
	var page bytes.Buffer
	if err := t.Execute(&page, v); err != nil {
		return fmt.Errorf("make the preview page: %w", err)
	}
	return writeWhole(path, page.Bytes())
}

// writeWhole puts a file in the place of another, or of none, at once. Only its
// owner can read it (os.CreateTemp makes it so).
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".sitrep-*")
	if err != nil {
		return cannotWrite(path, err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(cannotWrite(path, err), os.Remove(f.Name()))
	}
	return nil
}

// cannotWrite names the file that was asked for, not the temporary one.
func cannotWrite(path string, err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		err = e.Err
	} else if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("the preview page %s cannot be written: %w. Name another file with --html", path, err)
}

func newPreviewView(p dispatcher.Prepared, scenes func(string) scene) (previewView, error) {
	u := p.Update
	v := previewView{
		Customer: cmp.Or(u.CustomerName, u.Customer), Severity: u.Severity.String(),
		Status: string(u.Status), StatusWord: u.Status.Title(), Facts: facts(u),
		Warnings: problemList(p.Warnings), Leaks: leaks(p.Findings),
		Renderings: len(p.Plan.Renderings), Recipients: p.Plan.Count(),
	}
	for _, l := range p.Plan.Left {
		v.Left = append(v.Left, left(l))
	}
	for _, a := range incident.Audiences() {
		g := audienceView{Audience: a, Who: audienceWords(a), Sees: headings(u, a), Hidden: hidden(u, a)}
		for i, r := range p.Plan.Renderings {
			if r.Audience != a {
				continue
			}
			c, err := newCard(p, i, scenes(r.Channel))
			if err != nil {
				return v, err
			}
			g.Cards = append(g.Cards, c)
		}
		if len(g.Cards) > 0 {
			slices.SortStableFunc(g.Cards, func(x, y cardView) int { return strings.Compare(x.Channel, y.Channel) })
			v.Groups = append(v.Groups, g)
		}
	}
	return v, nil
}

func facts(u incident.Update) []fact {
	zone := u.Zone
	if zone == nil {
		zone = time.UTC
	}
	clock := func(t time.Time) string {
		return t.In(zone).Format("Mon 2 Jan 2006, 15:04 MST") + t.UTC().Format(" (15:04 UTC)")
	}
	all := []fact{
		{"Incident", u.Incident},
		{"Update", fmt.Sprintf("%d, %s", u.Seq, clock(u.At))},
		{"Incident time", incident.Hours(u.Elapsed()) + ", since " + clock(u.Started)},
	}
	if !u.Next.IsZero() {
		all = append(all, fact{"Next update", clock(u.Next)})
	}
	return all
}

func audienceWords(a incident.Audience) string {
	return map[incident.Audience]string{
		incident.Internal: "our own people: every section",
		incident.Customer: "the customer: no technical notes",
		incident.Public:   "everybody: no technical notes, and not who the customer is",
	}[a]
}

func newCard(p dispatcher.Prepared, i int, in scene) (cardView, error) {
	r := p.Plan.Renderings[i]
	d, err := draw(r.Message, in)
	if err != nil {
		return cardView{}, err
	}
	c := cardView{
		ID: fmt.Sprintf("r%d", i+1), Channel: r.Channel, Format: formatWords(r.Format), Recipients: p.Plan.Recipients(i),
		Locale: r.Locale, Zone: r.Zone, Subject: r.Message.Subject, Drawing: d,
	}
	if r.Fallback != nil {
		c.Fallback = r.Fallback.Error()
	}
	for _, g := range p.Plan.Groups() {
		if g.Rendering == i {
			c.Lists = append(c.Lists, listView{ID: g.List, Count: g.Recipients})
		}
	}
	return c, nil
}

func formatWords(f channels.Format) string {
	return map[channels.Format]string{
		channels.FormatEmail: "e-mail", channels.FormatMattermost: "Mattermost", channels.FormatPage: "status page",
		channels.FormatText: "plain text", channels.FormatChat: "chat",
	}[f]
}
