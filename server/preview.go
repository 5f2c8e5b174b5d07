package server

import (
	"context"
	"encoding/json"
	"errors"

	"sitrep/channels"
	"sitrep/dispatcher"
)

// PreviewOutput is what would be sent, and to whom.
type PreviewOutput struct{ Body PreviewView }

// PreviewView is a plan: the same that the command line shows.
type PreviewView struct {
	Incident string `json:"incident"`
	Customer string `json:"customer"`
	Key      string `json:"key"`
	Seq      int    `json:"seq"`
	Status   string `json:"status"`

	Earlier string `json:"earlier,omitempty" doc:"The update with this key that was accepted before."`
	New     int    `json:"new" doc:"Deliveries that sending it would add."`

	Refused  bool   `json:"refused" doc:"The leak guard would refuse it without an override."`
	Findings []Flaw `json:"findings" doc:"What the leak guard finds."`
	Warnings []Flaw `json:"warnings"`

	Renderings []RenderingView `json:"renderings"`
	Groups     []GroupView     `json:"groups" doc:"All recipients, counted."`
	Recipients []RecipientView `json:"recipients" doc:"As many as were asked for, from skip on."`
	Total      int             `json:"total" doc:"All recipients."`
	Left       []LeftView      `json:"left" doc:"Lists or recipients that are not told."`
}

// GroupView counts the recipients of a list who are served alike.
type GroupView struct {
	List       string `json:"list"`
	Audience   string `json:"audience" enum:"internal,customer,public"`
	Channel    string `json:"channel"`
	Rendering  int    `json:"rendering" doc:"Which of the renderings."`
	Recipients int    `json:"recipients" doc:"All of them."`
	Suppressed int    `json:"suppressed" doc:"Those who are not written to any more."`
	Already    int    `json:"already" doc:"Those who were told when the update was accepted before. They count as nothing else."`
}

// RenderingView is one message, for all recipients who get it word for word.
type RenderingView struct {
	Channel    string          `json:"channel"`
	Format     string          `json:"format"`
	Threads    bool            `json:"threads,omitempty" doc:"The channel posts a card for each incident and answers in its thread. Only in previews."`
	Audience   string          `json:"audience"`
	Locale     string          `json:"locale,omitempty"`
	Zone       string          `json:"zone,omitempty"`
	Recipients int             `json:"recipients"`
	Subject    string          `json:"subject,omitempty"`
	Text       string          `json:"text,omitempty"`
	HTML       string          `json:"html,omitempty"`
	Payload    json.RawMessage `json:"payload,omitempty" doc:"JSON; what is in it depends on the format."`
}

// RecipientView is one recipient of a plan.
type RecipientView struct {
	Channel    string   `json:"channel"`
	Address    string   `json:"address"`
	Name       string   `json:"name,omitempty"`
	Audience   string   `json:"audience"`
	Lists      []string `json:"lists" doc:"The lists that reach it; it is served as of the first."`
	Rendering  *int     `json:"rendering,omitempty" doc:"Which of the renderings."`
	Suppressed string   `json:"suppressed,omitempty" doc:"Why it is not written to, and since when."`
	Required   bool     `json:"required,omitempty" doc:"It is to be told by contract: it cannot unsubscribe."`
	Ignored    string   `json:"ignored,omitempty" doc:"A suppression that is ignored, for it is to be told by contract."`
	Already    bool     `json:"already,omitempty" doc:"It was told when the update was accepted before."`
}

// LeftView is who is not told, and why.
type LeftView struct {
	List  string `json:"list"`
	Count int    `json:"count"`
	Why   string `json:"why"`
}

// PreviewInput is the request to preview an update.
type PreviewInput struct {
	SubmitInput

	Recipients int `query:"recipients" doc:"How many recipients to name; all of them are counted." minimum:"0" maximum:"10000" default:"1000"`
	Skip       int `query:"skip" doc:"How many to leave out before them. Every request makes the plan anew." minimum:"0"`
}

func (s *Server) preview(ctx context.Context, who principal, in *PreviewInput) (*PreviewOutput, error) {
	sub, composed, err := in.submission(who)
	if err != nil {
		return nil, s.fielded(err, composed, who)
	}
	p, err := s.prepare(ctx, who, s.o.Setup(), sub)
	if _, refused := errors.AsType[*dispatcher.Refusal](err); err != nil && !refused {
		return nil, s.fielded(err, composed, who)
	} else if refused {
		return previewOf(p, who, in, true), nil
	}
	return previewOf(p, who, in, false), nil
}

func previewOf(p dispatcher.Prepared, who principal, in *PreviewInput, refused bool) *PreviewOutput {
	v := PreviewView{
		Incident: p.Update.Incident, Customer: p.Update.Customer, Key: p.Update.Key, Seq: p.Update.Seq, Status: string(p.Update.Status),
		New: p.New, Refused: refused, Findings: flaws(p.Findings, who.all), Warnings: append([]Flaw{}, mistakes(p.Warnings).Problems...),
		Total: p.Plan.Count(), Renderings: []RenderingView{}, Groups: []GroupView{}, Recipients: []RecipientView{}, Left: leftViews(p.Plan.Left),
	}
	if p.Earlier != nil {
		v.Earlier = p.Earlier.Key
	}
	for i, r := range p.Plan.Renderings {
		x := viewMessage(r.Message)
		x.Channel, x.Audience, x.Locale, x.Zone, x.Threads = r.Channel, string(r.Audience), r.Locale, r.Zone, r.Threads
		x.Recipients = p.Plan.Recipients(i)
		v.Renderings = append(v.Renderings, x)
	}
	v.recipients(p.Plan, in.Skip, in.Recipients)
	return &PreviewOutput{Body: v}
}

// recipients counts all of a plan's and names some of them.
func (v *PreviewView) recipients(p dispatcher.Plan, skip, most int) {
	for _, g := range p.Groups() {
		v.Groups = append(v.Groups, GroupView{g.List, string(g.Audience), g.Channel, g.Rendering, g.Recipients, g.Suppressed, g.Already})
	}
	if most == 0 {
		return
	}
	n := 0
	for d := range p.Deliveries() {
		if n++; n > skip {
			v.Recipients = append(v.Recipients, viewPlanned(d))
		}
		if len(v.Recipients) == most {
			return
		}
	}
}

func viewMessage(m channels.Message) RenderingView {
	return RenderingView{Format: string(m.Format), Subject: m.Subject, Text: m.Text, HTML: m.HTML, Payload: m.Payload}
}

func viewPlanned(d dispatcher.Delivery) RecipientView {
	r := viewTarget(d.Target)
	r.Rendering, r.Suppressed, r.Already = &d.Rendering, d.Suppressed, d.Already
	return r
}

func viewTarget(t dispatcher.Target) RecipientView {
	r := RecipientView{Channel: t.To.Channel, Address: t.To.Address, Name: t.To.Name, Audience: string(t.Audience), Lists: []string{}, Required: t.To.Required}
	for _, reach := range t.Reach {
		r.Lists = append(r.Lists, reach.List)
	}
	return r
}

func leftViews(left []dispatcher.Left) []LeftView {
	all := []LeftView{}
	for _, l := range left {
		all = append(all, LeftView(l))
	}
	return all
}
