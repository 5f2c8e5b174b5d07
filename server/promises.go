package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// KeptView is how often the next update came when it was promised.
type KeptView struct {
	Kept int      `json:"kept" doc:"How many of those due were kept."`
	Due  int      `json:"due" doc:"Promises whose time has come."`
	Open int      `json:"open" doc:"Promises whose time has not come yet."`
	Rate *float64 `json:"rate,omitempty" doc:"kept of due, from 0 to 1. Absent while none was due." minimum:"0" maximum:"1"`
}

// PromiseView is one promise of a next update.
type PromiseView struct {
	Update  string    `json:"update" doc:"The key of the update that made it."`
	Seq     int       `json:"seq" doc:"Of that update."`
	Due     time.Time `json:"due"`
	Next    time.Time `json:"next,omitzero" doc:"When the update that followed speaks."`
	Sent    time.Time `json:"sent,omitzero" doc:"When that one was accepted."`
	Outcome string    `json:"outcome" enum:"kept,broken,open" doc:"kept: the next update speaks no later than was promised, and was accepted no more than five minutes after. broken: it came later, or has not come. open: there is time left."`
}

// CustomerPromises is one customer's part of the promises.
type CustomerPromises struct {
	Customer string `json:"customer"`
	KeptView
}

// PromisesInput narrows the promises.
type PromisesInput struct {
	Customer string `query:"customer" doc:"Only this customer's: their id." maxLength:"100"`
}

// PromisesOutput is the promises by customer.
type PromisesOutput struct {
	Body struct {
		Customers []CustomerPromises `json:"customers" doc:"Those who were ever promised an update, by id."`
	}
}

func (s *Server) promiseRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-promises", Method: http.MethodGet, Path: "/promises", Tags: []string{"record"},
		Summary: "How often the next update came when it was promised, by customer",
	}, Viewer, s.promises)
}

func (s *Server) promises(ctx context.Context, who principal, in *PromisesInput) (*PromisesOutput, error) {
	by := map[string][]dispatcher.Promised{}
	for _, c := range who.turns(in.Customer, mark{}) {
		rows, err := s.o.Ledger.Updates(ctx, ledger.UpdateQuery{Customer: c})
		if err != nil {
			return nil, err
		}
		for _, p := range dispatcher.Promises(rows, s.o.Now()) {
			by[p.Customer] = append(by[p.Customer], p)
		}
	}
	out := &PromisesOutput{}
	out.Body.Customers = []CustomerPromises{}
	for customer, all := range by {
		out.Body.Customers = append(out.Body.Customers, CustomerPromises{customer, Kept(all)})
	}
	slices.SortFunc(out.Body.Customers, func(a, b CustomerPromises) int { return cmp.Compare(a.Customer, b.Customer) })
	return out, nil
}

// Kept counts promises.
func Kept(all []dispatcher.Promised) KeptView {
	v := KeptView{}
	v.Kept, v.Due = dispatcher.KeptRate(all)
	v.Open = len(all) - v.Due
	if v.Due > 0 { // nothing of nothing is no rate
		rate := float64(v.Kept) / float64(v.Due)
		v.Rate = &rate
	}
	return v
}

// ViewPromises is each promise as the API shows it.
func ViewPromises(all []dispatcher.Promised) []PromiseView {
	var views []PromiseView
	for _, p := range all {
		views = append(views, PromiseView{Update: p.Update, Seq: p.Seq, Due: p.Due, Next: p.Next, Sent: p.Sent, Outcome: string(p.Outcome)})
	}
	return views
}

// withPromises adds what became of an incident's promises.
func (v *IncidentView) withPromises(updates []ledger.Update, now time.Time) {
	all := dispatcher.Promises(updates, now)
	if len(all) == 0 && v.Status == string(incident.Resolved) {
		return // there was nothing to promise
	}
	kept := Kept(all)
	v.Kept, v.Promises = &kept, ViewPromises(all)
}

// hidden reports whether an incident is a reminder that nobody asked for: reminders
// are accounted for like updates, and no incidents.
func hidden(id string, wanted bool) bool {
	_, reminder := dispatcher.ReminderOf(id)
	return reminder && !wanted
}
