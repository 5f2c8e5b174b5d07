package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// account is who got an update and who did not, as the ledger has it. It is what
// send, retry and report print, for people or as JSON.
type account struct {
	Incident   string       `json:"incident"`
	Update     string       `json:"update"`
	Customer   string       `json:"customer"`
	Seq        int          `json:"seq"`
	Status     string       `json:"status"`
	Title      string       `json:"title"`
	At         time.Time    `json:"at"`
	Accepted   time.Time    `json:"accepted"`
	Next       time.Time    `json:"next_update,omitzero"`
	Override   string       `json:"override,omitempty"`
	Channels   []channelSum `json:"channels"`
	Recipients []recipient  `json:"recipients"` // those who did not get it, or not yet; all of them with --all
	Delivered  int          `json:"delivered"`
	Delayed    int          `json:"delayed,omitempty"` // of the delivered ones: not arrived yet, as mail servers have said since
	Failed     int          `json:"failed"`
	Pending    int          `json:"pending"`
	Unwritten  int          `json:"unwritten,omitempty"` // of the pending ones: not written down yet, and of no channel
	Other      int          `json:"not_sent"`            // superseded, suppressed, cancelled

	all bool // list every recipient, also those who are like others
}

// channelSum is one channel's count.
type channelSum struct {
	Channel   string                 `json:"channel"`
	Total     int                    `json:"total"`
	Outcomes  map[ledger.Outcome]int `json:"outcomes"`
	Pending   int                    `json:"pending"`
	Permalink string                 `json:"permalink,omitempty"` // where it can be seen, if it is one place
}

// recipient is one delivery in words.
type recipient struct {
	Channel   string    `json:"channel"`
	Address   string    `json:"address"`
	Name      string    `json:"name,omitempty"`
	List      string    `json:"list"`
	Audience  string    `json:"audience"`
	Outcome   string    `json:"outcome"`
	Fault     string    `json:"fault,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Attempts  int       `json:"attempts"`
	Next      time.Time `json:"next_attempt,omitzero"`
	Settled   time.Time `json:"settled,omitzero"`
	Delayed   bool      `json:"delayed,omitempty"`  // handed over, and not arrived yet
	Required  bool      `json:"required,omitempty"` // by contract, as the configuration is now
	RemoteID  string    `json:"remote_id,omitempty"`
	Permalink string    `json:"permalink,omitempty"`
}

// readAccount reads the account of one update. With all, every recipient is in it.
func readAccount(ctx context.Context, r ledger.Reader, u ledger.Update, all bool) (account, error) {
	acc := account{
		Incident: u.Incident, Update: u.Key, Customer: u.Customer, Seq: u.Seq, Status: u.Status, Title: u.Title,
		At: u.At, Accepted: u.Accepted, Next: u.Next, Override: u.Override, Channels: []channelSum{}, Recipients: []recipient{},
		all: all,
	}
	var err error
	if acc.Unwritten, err = unwrittenOf(ctx, r, u.Key); err != nil { // before counting: nobody is missed
		return acc, err
	}
	acc.Pending = acc.Unwritten
	sums := map[string]*channelSum{}
	for d, err := range r.Deliveries(ctx, ledger.DeliveryQuery{Update: u.Key}) {
		if err != nil {
			return acc, fmt.Errorf("read the ledger: %w", err)
		}
		acc.add(sums, d, all)
	}
	for _, s := range sums {
		acc.Channels = append(acc.Channels, *s)
	}
	slices.SortFunc(acc.Channels, func(x, y channelSum) int { return strings.Compare(x.Channel, y.Channel) })
	return acc, nil
}

func (acc *account) add(sums map[string]*channelSum, d ledger.Delivery, all bool) {
	s := sums[d.Channel]
	if s == nil {
		s = &channelSum{Channel: d.Channel, Outcomes: map[ledger.Outcome]int{}}
		sums[d.Channel] = s
	}
	s.Total++
	switch d.Outcome {
	case ledger.Pending:
		s.Pending++
		acc.Pending++
	case ledger.Delivered:
		acc.Delivered++
		if d.Delayed() {
			acc.Delayed++
		}
		if s.Outcomes[ledger.Delivered] == 0 {
			s.Permalink = d.Receipt.Permalink
		} else if s.Permalink != d.Receipt.Permalink {
			s.Permalink = ""
		}
	case ledger.Superseded, ledger.Suppressed, ledger.Cancelled:
		acc.Other++
	case ledger.Failed, ledger.Bounced, ledger.Expired, ledger.Unknown:
		acc.Failed++
	}
	if d.Outcome != ledger.Pending {
		s.Outcomes[d.Outcome]++
	}
	if all || d.Outcome != ledger.Delivered || d.Delayed() {
		acc.Recipients = append(acc.Recipients, describe(d))
	}
}

func describe(d ledger.Delivery) recipient {
	r := recipient{
		Channel: d.Channel, Address: d.To.Address, Name: d.To.Name, List: d.List, Audience: d.Audience,
		Outcome: string(d.Outcome), Fault: string(d.Fault), Reason: reason(d), Attempts: d.Attempts,
		Settled: d.Settled, Delayed: d.Delayed(), RemoteID: d.Receipt.RemoteID, Permalink: d.Receipt.Permalink,
	}
	if d.Outcome == ledger.Pending {
		r.Outcome, r.Next = "pending", d.Due
	}
	return r
}

// mark notes who is to be told by contract: by channel and address.
func (acc *account) mark(required map[[2]string]bool) {
	for i, r := range acc.Recipients {
		acc.Recipients[i].Required = required[[2]string{r.Channel, strings.ToLower(r.Address)}]
	}
}

// code is the exit code an account deserves.
func (acc account) code() int {
	switch {
	case acc.Pending > 0:
		return exitPending
	case acc.Failed > 0:
		return exitFailed
	}
	return exitOK
}

// reason says in plain words why a delivery is as it is. The remote side's own
// words come last, in brackets.
func reason(d ledger.Delivery) string {
	why := map[ledger.Outcome]string{
		ledger.Delivered:  "",
		ledger.Superseded: "a newer update overtook it while it was failing",
		ledger.Suppressed: "this address is not written to any more",
		ledger.Cancelled:  "taken back before it was sent",
		ledger.Bounced:    "accepted at first, then returned",
		ledger.Expired:    "its time was over before it got through",
		ledger.Unknown:    "it may have arrived; nobody can tell",
	}[d.Outcome]
	if why == "" && d.Outcome != ledger.Delivered {
		why = faultWords(d.Fault)
	}
	if why == "" && d.Outcome == ledger.Pending {
		why = "not tried yet"
		if d.Leased {
			why = "an attempt is under way"
		}
	}
	if d.Detail != "" && (d.Outcome == ledger.Suppressed || d.Outcome == ledger.Cancelled) || d.Delayed() {
		return oneLine(d.Detail) // it says just that, and since when or by whom
	}
	if d.Detail != "" && d.Outcome != ledger.Delivered {
		why = strings.TrimSpace(why + " (" + oneLine(d.Detail) + ")")
	}
	return why
}

func faultWords(f channels.Fault) string {
	return map[channels.Fault]string{
		channels.Unavailable:  "the other side could not take it",
		channels.RateLimited:  "the other side asked to slow down",
		channels.Unauthorized: "access was refused or is not safe",
		channels.NoRecipient:  "no such recipient",
		channels.Rejected:     "refused for good",
		channels.Ambiguous:    "it may have arrived: no clear answer came",
	}[f]
}
