package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

// prepare asks the server what would be sent, and returns it as the dispatcher would:
// all recipients are counted, and named if that is wanted.
func (r *remote) prepare(ctx context.Context, now time.Time, sub client.Submission, named bool) (dispatcher.Prepared, error) {
	if _, problems := incident.Parse(sub.Source); len(bytes.TrimSpace(sub.Source)) == 0 {
		return dispatcher.Prepared{}, problems // to the API that is no update at all
	}
	v, err := r.planned(ctx, sub, named)
	if err != nil {
		return dispatcher.Prepared{}, farRefusal(err)
	}
	p := dispatcher.Prepared{Source: sub.Source, Warnings: problemsOf(v.Warnings), Findings: findingsOf(v.Findings), New: v.New}
	if p.Update, err = r.resolve(ctx, now, sub, v); err != nil {
		return p, err
	}
	if v.Earlier != "" {
		if err := r.again(ctx, &p, v.Earlier); err != nil {
			return p, err
		}
	}
	p.Plan = farPlan(p.Update, v)
	if v.Refused {
		return p, &dispatcher.Refusal{Findings: p.Findings}
	}
	return p, nil
}

// namedAtOnce is how many recipients one answer names.
const namedAtOnce = 10_000

// planned is the server's plan, put together of several answers if it names many
// recipients. Each of them is a plan made anew, so they may differ.
func (r *remote) planned(ctx context.Context, sub client.Submission, named bool) (v server.PreviewView, err error) {
	if !named {
		return r.Preview(ctx, sub, 0, 0)
	}
	for {
		page, err := r.Preview(ctx, sub, namedAtOnce, len(v.Recipients))
		if err != nil {
			return v, err
		}
		if v.Key != "" && (page.Key != v.Key || page.Incident != v.Incident || page.Total != v.Total) {
			return v, errors.New("the plan changed while it was read, for the lists or the incident did. Nothing was sent: try again")
		}
		had := len(v.Recipients)
		page.Recipients = append(v.Recipients, page.Recipients...)
		if v = page; len(v.Recipients) == had || len(v.Recipients) >= v.Total {
			return v, nil
		}
	}
}

// farPlan is the server's.
func farPlan(u incident.Update, v server.PreviewView) dispatcher.Plan {
	var all []dispatcher.Rendering
	var recipients []int
	for _, x := range v.Renderings {
		all = append(all, dispatcher.Rendering{
			Channel: x.Channel, Format: farMessage(x).Format, Audience: incident.Audience(x.Audience), Locale: x.Locale, Zone: x.Zone,
			Threads: x.Threads, Message: farMessage(x),
		})
		recipients = append(recipients, x.Recipients)
	}
	var groups []dispatcher.Group
	for _, g := range v.Groups {
		groups = append(groups, dispatcher.Group{
			List: g.List, Audience: incident.Audience(g.Audience), Channel: g.Channel, Rendering: g.Rendering,
			Recipients: g.Recipients, Suppressed: g.Suppressed, Already: g.Already,
		})
	}
	var left []dispatcher.Left
	for _, l := range v.Left {
		left = append(left, dispatcher.Left(l))
	}
	return dispatcher.PlanOf(all, recipients, groups, farDeliveries(u, v.Recipients), left)
}

// resolve reads the update as the server has read it, for showing it.
func (r *remote) resolve(ctx context.Context, now time.Time, sub client.Submission, v server.PreviewView) (u incident.Update, err error) {
	k := incident.Known{Now: now, Incident: sub.Incident, Next: sub.Next, Find: func(id string) (incident.Incident, bool) {
		rows, err := r.ledger.Incidents(ctx, ledger.IncidentQuery{ID: id})
		if err != nil || len(rows) == 0 {
			return incident.Incident{}, false
		}
		return dispatcher.IncidentOf(rows[0]), true
	}}
	if k.Parties, err = r.parties(ctx); err != nil {
		return u, err
	}
	open, err := r.ledger.Incidents(ctx, ledger.IncidentQuery{Customer: v.Customer, Open: true})
	if err != nil {
		return u, err
	}
	for _, i := range open {
		k.Open = append(k.Open, dispatcher.IncidentOf(i))
	}
	draft, _ := incident.Parse(sub.Source)
	u, _, _ = draft.Resolve(k) // the server has found no problem, and has said the warnings
	u.Incident, u.Seq, u.Key, u.Customer, u.Status = v.Incident, v.Seq, v.Key, v.Customer, incident.Status(v.Status)
	return u, nil
}

// again is for an update that was accepted before: it is as it was then.
func (r *remote) again(ctx context.Context, p *dispatcher.Prepared, key string) error {
	rows, err := r.ledger.Updates(ctx, ledger.UpdateQuery{Key: key})
	if err != nil || len(rows) == 0 {
		return err
	}
	p.Earlier = &rows[0]
	p.Update.At, p.Update.Next = rows[0].At, rows[0].Next
	of, err := r.ledger.Incidents(ctx, ledger.IncidentQuery{ID: rows[0].Incident})
	if err == nil && len(of) > 0 {
		i := dispatcher.IncidentOf(of[0])
		p.Update.Started, p.Update.Severity = i.Started, i.Severity
	}
	return err
}

// farDeliveries are those that the server names.
func farDeliveries(u incident.Update, named []server.RecipientView) []dispatcher.Delivery {
	all := make([]dispatcher.Delivery, len(named))
	for i, x := range named {
		d := dispatcher.Delivery{Key: dispatcher.DeliveryKey(u.Key, x.Channel, x.Address), Rendering: -1, Suppressed: x.Suppressed, Already: x.Already}
		d.To = incident.Recipient{Channel: x.Channel, Address: x.Address, Name: x.Name}
		d.Audience = incident.Audience(x.Audience)
		for _, list := range x.Lists {
			d.Reach = append(d.Reach, dispatcher.Reach{List: list})
		}
		if x.Rendering != nil {
			d.Rendering = *x.Rendering
		}
		all[i] = d
	}
	return all
}
