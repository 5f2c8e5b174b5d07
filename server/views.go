package server

import (
	"time"

	"sitrep/ledger"
)

// IncidentView is an incident as the API shows it.
type IncidentView struct {
	ID       string    `json:"id"`
	Customer string    `json:"customer"`
	Severity string    `json:"severity,omitempty" doc:"SEV1 to SEV5, if the team gave one."`
	Status   string    `json:"status" doc:"Of the latest update." enum:"investigating,identified,monitoring,resolved"`
	Open     bool      `json:"open"`
	Started  time.Time `json:"started"`
	Updated  time.Time `json:"updated" doc:"When the latest update spoke."`
	Next     time.Time `json:"next_update,omitzero" doc:"The latest promise."`
	Seq      int       `json:"seq" doc:"Of the latest update."`

	Updates  []UpdateView  `json:"updates,omitempty" doc:"Newest first. Only when one incident is asked for."`
	Kept     *KeptView     `json:"kept,omitempty" doc:"How often the next update came when it was promised. Only when one incident is asked for."`
	Promises []PromiseView `json:"promises,omitempty" doc:"What became of each promise, oldest first. Only when one incident is asked for."`
}

func viewIncident(i ledger.Incident) IncidentView {
	return IncidentView{
		ID: i.ID, Customer: i.Customer, Severity: i.Severity, Status: i.Status, Open: i.Status != "resolved",
		Started: i.Started, Updated: i.Updated, Next: i.Next, Seq: i.Seq,
	}
}

// UpdateView is an update as the API shows it.
type UpdateView struct {
	Key      string    `json:"key"`
	Incident string    `json:"incident"`
	Customer string    `json:"customer"`
	Seq      int       `json:"seq" doc:"Its place in the incident, from 1."`
	Status   string    `json:"status"`
	Title    string    `json:"title" doc:"One line, for our own people."`
	At       time.Time `json:"at" doc:"When it speaks."`
	Accepted time.Time `json:"accepted"`
	Next     time.Time `json:"next_update,omitzero" doc:"The promise it made."`

	Unwritten int `json:"unwritten,omitempty" doc:"Recipients it was accepted for whose deliveries are still being written down."`

	Override string  `json:"override,omitempty" doc:"Why the leak guard was overridden, and by whom. For authors."`
	Source   string  `json:"source,omitempty" doc:"The Markdown as it came in. For authors, when one update is asked for."`
	Report   *Report `json:"report,omitempty" doc:"When one update is asked for."`
}

func viewUpdate(u ledger.Update, p principal) UpdateView {
	v := UpdateView{
		Key: u.Key, Incident: u.Incident, Customer: u.Customer, Seq: u.Seq, Status: u.Status, Title: u.Title,
		At: u.At, Accepted: u.Accepted, Next: u.Next, Unwritten: u.Unwritten,
	}
	if p.role.covers(Author) {
		v.Override = u.Override
	}
	return v
}

// DeliveryView is a delivery as the API shows it.
type DeliveryView struct {
	Key      string `json:"key"`
	Update   string `json:"update"`
	Incident string `json:"incident"`
	Customer string `json:"customer"`
	Severity string `json:"severity,omitempty"`
	Seq      int    `json:"seq" doc:"Of the update."`
	List     string `json:"list"`
	Audience string `json:"audience" enum:"internal,customer,public"`
	Channel  string `json:"channel"`
	Address  string `json:"address"`
	Name     string `json:"name,omitempty"`

	Outcome  string `json:"outcome" enum:"pending,delivered,failed,bounced,expired,superseded,suppressed,cancelled,unknown"`
	Delayed  bool   `json:"delayed,omitempty" doc:"Delivered as far as we were told, and not arrived yet, as a mail server has said since."`
	UnderWay bool   `json:"under_way,omitempty" doc:"An attempt is being made."`
	Attempts int    `json:"attempts"`
	Fault    string `json:"fault,omitempty" doc:"Why the last attempt failed." enum:"unavailable,rate_limited,unauthorized,no_recipient,rejected,ambiguous"`
	Reason   string `json:"reason,omitempty" doc:"The same for people."`

	Accepted time.Time `json:"accepted"`
	Due      time.Time `json:"next_attempt,omitzero" doc:"While pending."`
	Expire   time.Time `json:"expires"`
	Settled  time.Time `json:"settled,omitzero" doc:"When it reached its outcome."`

	RemoteID  string `json:"remote_id,omitempty" doc:"What the other side calls it."`
	Permalink string `json:"permalink,omitempty"`
}

// pending is how the API calls the absence of an outcome.
const pending = "pending"

func outcomeWord(o ledger.Outcome) string {
	if o == ledger.Pending {
		return pending
	}
	return string(o)
}

func viewDelivery(d ledger.Delivery) DeliveryView {
	v := DeliveryView{
		Key: d.Key, Update: d.Update, Incident: d.Incident, Customer: d.Customer, Severity: d.Severity, Seq: d.Seq,
		List: d.List, Audience: d.Audience, Channel: d.Channel, Address: d.To.Address, Name: d.To.Name,
		Outcome: outcomeWord(d.Outcome), Delayed: d.Delayed(), UnderWay: d.Leased, Attempts: d.Attempts, Fault: string(d.Fault), Reason: d.Detail,
		Accepted: d.Accepted, Expire: d.Expire, Settled: d.Settled, RemoteID: d.Receipt.RemoteID, Permalink: d.Receipt.Permalink,
	}
	if d.Outcome == ledger.Pending {
		v.Due = d.Due
	}
	return v
}

// AttemptView is one try that did not simply succeed.
type AttemptView struct {
	Number      int       `json:"number"`
	Fault       string    `json:"fault,omitempty"`
	Interrupted bool      `json:"interrupted,omitempty" doc:"The process died before it could say what happened."`
	Reason      string    `json:"reason,omitempty"`
	Started     time.Time `json:"started,omitzero"`
	Ended       time.Time `json:"ended,omitzero"`
}

// Report is who got an update and who did not, as the ledger has it.
type Report struct {
	Incident string `json:"incident"`
	Update   string `json:"update"`

	Delivered int  `json:"delivered"`
	Delayed   int  `json:"delayed,omitempty" doc:"Of the delivered ones: not arrived yet, as mail servers have said since. Counted once nothing is pending."`
	Failed    int  `json:"failed" doc:"failed, bounced, expired or unknown"`
	Pending   int  `json:"pending" doc:"Those without an outcome yet, unwritten ones among them."`
	Unwritten int  `json:"unwritten,omitempty" doc:"Recipients whose deliveries are still being written down. No channel counts them yet."`
	NotSent   int  `json:"not_sent" doc:"superseded, suppressed or cancelled"`
	Finished  bool `json:"finished" doc:"Nothing is pending."`

	Channels   []ChannelReport `json:"channels"`
	Recipients []DeliveryView  `json:"recipients" doc:"Those who did not get it, or not yet, 1,000 at most; the deliveries have all of them."`
	More       bool            `json:"more,omitempty" doc:"There are more of them."`
}

// ChannelReport is one channel's part of a Report.
type ChannelReport struct {
	Channel  string         `json:"channel"`
	Total    int            `json:"total"`
	Pending  int            `json:"pending"`
	Outcomes map[string]int `json:"outcomes"`
}
