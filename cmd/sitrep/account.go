package main

import (
	"context"
	"fmt"
	"io"
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
	Recipients []recipient  `json:"recipients"` // those who did not get it; all of them with --all
	Delivered  int          `json:"delivered"`
	Failed     int          `json:"failed"`
	Pending    int          `json:"pending"`
	Other      int          `json:"not_sent"` // superseded, suppressed, cancelled
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
	RemoteID  string    `json:"remote_id,omitempty"`
	Permalink string    `json:"permalink,omitempty"`
}

// readAccount reads the account of one update. With all, every recipient is in it.
func readAccount(ctx context.Context, r ledger.Reader, u ledger.Update, all bool) (account, error) {
	acc := account{
		Incident: u.Incident, Update: u.Key, Customer: u.Customer, Seq: u.Seq, Status: u.Status, Title: u.Title,
		At: u.At, Accepted: u.Accepted, Next: u.Next, Override: u.Override, Recipients: []recipient{},
	}
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
	if all || d.Outcome != ledger.Delivered {
		acc.Recipients = append(acc.Recipients, describe(d))
	}
}

func describe(d ledger.Delivery) recipient {
	r := recipient{
		Channel: d.Channel, Address: d.To.Address, Name: d.To.Name, List: d.List, Audience: d.Audience,
		Outcome: string(d.Outcome), Fault: string(d.Fault), Reason: reason(d), Attempts: d.Attempts,
		Settled: d.Settled, RemoteID: d.Receipt.RemoteID, Permalink: d.Receipt.Permalink,
	}
	if d.Outcome == ledger.Pending {
		r.Outcome, r.Next = "pending", d.Due
	}
	return r
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
		channels.Unauthorized: "the other side refused our credentials",
		channels.NoRecipient:  "no such recipient",
		channels.Rejected:     "refused for good",
		channels.Ambiguous:    "the connection broke before the answer came",
	}[f]
}

// print writes the account for people.
func (acc account) print(w io.Writer, s style, now time.Time) {
	for _, c := range acc.Channels {
		fmt.Fprintf(w, "  %-12s %s\n", c.Channel, c.words(s))
	}
	if len(acc.Recipients) == 0 {
		return
	}
	if slices.ContainsFunc(acc.Recipients, func(r recipient) bool { return r.Outcome != string(ledger.Delivered) }) {
		fmt.Fprintf(w, "\n%s\n", s.bold("Did not get it:"))
	}
	for _, r := range acc.Recipients {
		if r.Outcome != string(ledger.Delivered) {
			fmt.Fprintf(w, "  %-12s %s\n", r.Channel, r.words(s, now))
		}
	}
	acc.printDelivered(w, s)
}

func (acc account) printDelivered(w io.Writer, s style) {
	first := true
	for _, r := range acc.Recipients {
		if r.Outcome != string(ledger.Delivered) {
			continue
		}
		if first {
			fmt.Fprintf(w, "\n%s\n", s.bold("Got it:"))
			first = false
		}
		fmt.Fprintf(w, "  %-12s %s (%s, %s) at %s %s\n", r.Channel, addressee(r.Name, r.Address), r.List, r.Audience,
			r.Settled.UTC().Format("15:04:05 UTC"), s.dim(oneLine(r.RemoteID)))
	}
}

// words is "23 of 24 delivered, 1 failed".
func (c channelSum) words(s style) string {
	parts := []string{fmt.Sprintf("%d of %d delivered", c.Outcomes[ledger.Delivered], c.Total)}
	if c.Outcomes[ledger.Delivered] == c.Total {
		parts[0] = s.green(fmt.Sprintf("✓ all %d delivered", c.Total))
	}
	for _, o := range ledger.Outcomes() {
		if n := c.Outcomes[o]; n > 0 && o != ledger.Delivered {
			parts = append(parts, s.red(fmt.Sprintf("%d %s", n, o)))
		}
	}
	if c.Pending > 0 {
		parts = append(parts, s.yellow(fmt.Sprintf("%d pending", c.Pending)))
	}
	line := strings.Join(parts, ", ")
	if c.Permalink != "" {
		line += "  " + s.dim(c.Permalink)
	}
	return line
}

// words is "bob@abc.example (contacts): failed after 2 attempts: no such recipient (…)".
func (r recipient) words(s style, now time.Time) string {
	who := addressee(r.Name, r.Address)
	state := s.red(r.Outcome)
	if r.Outcome == "pending" {
		state = s.yellow(r.Outcome)
	}
	if r.Attempts > 0 {
		state += fmt.Sprintf(" after %s", count(r.Attempts, "attempt"))
	}
	line := fmt.Sprintf("%s (%s): %s", who, r.List, state)
	if r.Reason != "" {
		line += ": " + r.Reason
	}
	if r.Next.After(now) {
		line += fmt.Sprintf(", next attempt in %s", r.Next.Sub(now).Round(time.Second))
	}
	return line
}

// addressee is "Alice <alice@abc.example>", or the address alone.
func addressee(name, address string) string {
	if name == "" {
		return oneLine(address)
	}
	return oneLine(name) + " <" + oneLine(address) + ">"
}

// count is "1 delivery", "2 deliveries".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if stem, ok := strings.CutSuffix(thing, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
