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
	Recipients []RecipientView `json:"recipients" doc:"1,000 at most."`
	Total      int             `json:"total" doc:"All recipients."`
	Left       []LeftView      `json:"left" doc:"Lists or recipients that are not told."`
}

// RenderingView is one message, for all recipients who get it word for word.
type RenderingView struct {
	Channel    string          `json:"channel"`
	Format     string          `json:"format"`
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
	Suppressed string   `json:"suppressed,omitempty" doc:"Why it is not written to."`
	Already    bool     `json:"already,omitempty" doc:"It was told when the update was accepted before."`
}

// LeftView is who is not told, and why.
type LeftView struct {
	List  string `json:"list"`
	Count int    `json:"count"`
	Why   string `json:"why"`
}

func (s *Server) preview(ctx context.Context, who principal, in *SubmitInput) (*PreviewOutput, error) {
	sub, composed, err := in.submission(who)
	if err != nil {
		return nil, s.fielded(err, composed, who)
	}
	p, err := s.prepare(ctx, who, s.o.Setup(), sub)
	if _, refused := errors.AsType[*dispatcher.Refusal](err); err != nil && !refused {
		return nil, s.fielded(err, composed, who)
	} else if refused {
		return previewOf(p, who, true), nil
	}
	return previewOf(p, who, false), nil
}

func previewOf(p dispatcher.Prepared, who principal, refused bool) *PreviewOutput {
	v := PreviewView{
		Incident: p.Update.Incident, Customer: p.Update.Customer, Key: p.Update.Key, Seq: p.Update.Seq, Status: string(p.Update.Status),
		New: p.New, Refused: refused, Findings: flaws(p.Findings, who.all), Warnings: append([]Flaw{}, mistakes(p.Warnings).Problems...),
		Total: len(p.Plan.Deliveries), Renderings: []RenderingView{}, Recipients: []RecipientView{}, Left: leftViews(p.Plan.Left),
	}
	if p.Earlier != nil {
		v.Earlier = p.Earlier.Key
	}
	for _, r := range p.Plan.Renderings {
		x := viewMessage(r.Message)
		x.Channel, x.Audience, x.Locale, x.Zone = r.Channel, string(r.Audience), r.Locale, r.Zone
		v.Renderings = append(v.Renderings, x)
	}
	for _, d := range p.Plan.Deliveries {
		v.Renderings[d.Rendering].Recipients++
		if len(v.Recipients) < reported {
			v.Recipients = append(v.Recipients, viewPlanned(d))
		}
	}
	return &PreviewOutput{Body: v}
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
	r := RecipientView{Channel: t.To.Channel, Address: t.To.Address, Name: t.To.Name, Audience: string(t.Audience), Lists: []string{}}
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
