package main

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

// farLedger reads a server's ledger over its API, so that what reports is the same
// wherever the ledger is.
type farLedger struct{ c *client.Client }

var _ ledger.Reader = farLedger{}

// Incidents implements [ledger.Reader].
func (l farLedger) Incidents(ctx context.Context, q ledger.IncidentQuery) (all []ledger.Incident, err error) {
	if q.ID != "" {
		v, err := l.c.Incident(ctx, q.ID)
		if absent(err) {
			return nil, nil
		}
		return []ledger.Incident{farIncident(v)}, err
	}
	for v, err := range l.c.Incidents(ctx, q.Customer, q.Open) {
		if err != nil {
			return nil, err
		}
		all = append(all, farIncident(v))
		if len(all) == q.Limit {
			break
		}
	}
	return all, nil
}

func absent(err error) bool {
	no, ok := errors.AsType[*client.Refused](err)
	return ok && no.Status == http.StatusNotFound
}

func farIncident(v server.IncidentView) ledger.Incident {
	return ledger.Incident{
		ID: v.ID, Customer: v.Customer, Severity: v.Severity, Started: v.Started, Status: v.Status, Seq: v.Seq,
		Updated: v.Updated, Next: v.Next,
	}
}

// Updates implements [ledger.Reader].
func (l farLedger) Updates(ctx context.Context, q ledger.UpdateQuery) (all []ledger.Update, err error) {
	if q.Key != "" {
		v, err := l.c.Update(ctx, q.Key)
		if absent(err) {
			return nil, nil
		}
		return []ledger.Update{farUpdate(v)}, err
	}
	for v, err := range l.c.Updates(ctx, q.Customer, q.Incident) {
		if err != nil {
			return nil, err
		}
		all = append(all, farUpdate(v))
		if len(all) == q.Limit {
			break
		}
	}
	return all, nil
}

func farUpdate(v server.UpdateView) ledger.Update {
	return ledger.Update{
		Key: v.Key, Incident: v.Incident, Customer: v.Customer, Seq: v.Seq, Status: v.Status, Title: v.Title, At: v.At,
		Accepted: v.Accepted, Next: v.Next, Override: v.Override, Source: v.Source,
		Unwritten: v.Unwritten,
	}
}

const pendingWord = "pending"

// Deliveries implements [ledger.Reader], but for DeliveryQuery.After.
func (l farLedger) Deliveries(ctx context.Context, q ledger.DeliveryQuery) iter.Seq2[ledger.Delivery, error] {
	return func(yield func(ledger.Delivery, error) bool) {
		for v, err := range l.c.Deliveries(ctx, narrow(q)) {
			if !yield(farDelivery(v), err) {
				return
			}
		}
	}
}

func narrow(q ledger.DeliveryQuery) client.Narrow {
	n := client.Narrow{Customer: q.Customer, Incident: q.Incident, Update: q.Update, Channel: q.Channel, Since: q.Since}
	for _, o := range q.Outcomes {
		if o == ledger.Pending {
			o = pendingWord
		}
		n.Outcomes = append(n.Outcomes, string(o))
	}
	return n
}

func farDelivery(v server.DeliveryView) ledger.Delivery {
	return ledger.Delivery{
		Key: v.Key, Update: v.Update, Incident: v.Incident, Customer: v.Customer, Severity: v.Severity, Seq: v.Seq,
		List: v.List, Audience: v.Audience, Channel: v.Channel, To: channels.Recipient{Address: v.Address, Name: v.Name},
		Outcome: farOutcome(v.Outcome), Attempts: v.Attempts, Leased: v.UnderWay, Fault: channels.Fault(v.Fault), Detail: v.Reason,
		Receipt: channels.Receipt{RemoteID: v.RemoteID, Permalink: v.Permalink},
		Due:     v.Due, Expire: v.Expire, Accepted: v.Accepted, Settled: v.Settled,
	}
}

func farOutcome(word string) ledger.Outcome {
	if word == pendingWord {
		return ledger.Pending
	}
	return ledger.Outcome(word)
}

// Attempts implements [ledger.Reader]. A delivery is asked for by its update's key, a
// slash and its own.
func (l farLedger) Attempts(ctx context.Context, delivery string) (all []ledger.Attempt, err error) {
	update, key, _ := strings.Cut(delivery, "/")
	history, err := l.c.Delivery(ctx, update, key)
	for _, v := range history {
		all = append(all, ledger.Attempt{
			Number: v.Number, Fault: channels.Fault(v.Fault), Interrupted: v.Interrupted, Detail: v.Reason, Started: v.Started, Ended: v.Ended,
		})
	}
	return all, err
}

// Tally implements [ledger.Reader].
func (l farLedger) Tally(ctx context.Context, q ledger.DeliveryQuery) (all []ledger.Tally, err error) {
	views, err := l.c.Tallies(ctx, narrow(q))
	for _, v := range views {
		all = append(all, ledger.Tally{
			Customer: v.Customer, Channel: v.Channel, Outcome: farOutcome(v.Outcome), Retrying: v.Retrying, Count: v.Count, Oldest: v.Oldest,
		})
	}
	return all, err
}

// parties are the customers that the caller may know of, without their lists.
func (r *remote) parties(ctx context.Context) ([]incident.Party, error) {
	views, err := r.Customers(ctx)
	var all []incident.Party
	for _, v := range views {
		all = append(all, farParty(v))
	}
	return all, err
}

func farParty(v server.CustomerView) incident.Party {
	return incident.Party{ID: v.ID, Name: v.Name, PublicName: v.PublicName, Aliases: v.Aliases, Zone: farZone(v.Zone, time.UTC)}
}

// farZone is a zone by its name; otherwise if there is none, or this machine does not
// know it.
func farZone(name string, otherwise *time.Location) *time.Location {
	if name == "" {
		return otherwise
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return otherwise
	}
	return z
}

// party is a customer with their lists.
func (r *remote) party(ctx context.Context, id string) (incident.Party, error) {
	v, lists, err := r.Lists(ctx, id)
	if err != nil {
		return incident.Party{}, err
	}
	p := farParty(v)
	for _, l := range lists {
		p.Lists = append(p.Lists, farList(l))
	}
	return p, nil
}

func farList(v server.ListView) incident.List {
	l := incident.List{ID: v.ID, Audience: incident.Audience(v.Audience)}
	for _, word := range v.Severities {
		if s, err := incident.ParseSeverity(word); err == nil {
			l.Severities = append(l.Severities, s)
		}
	}
	for _, word := range v.Statuses {
		l.Statuses = append(l.Statuses, incident.Status(word))
	}
	if d, err := time.ParseDuration(v.After); err == nil {
		l.After = d
	}
	for _, x := range v.Recipients {
		l.To = append(l.To, incident.Recipient{
			Channel: x.Channel, Address: x.Address, Name: x.Name, Locale: x.Locale, Zone: farZone(x.Zone, nil), Via: x.Via, Required: x.Required,
		})
	}
	return l
}
