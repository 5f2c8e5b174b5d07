package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"sitrep/ledger"
)

// print writes the account for people.
func (acc account) print(w io.Writer, s style, now time.Time) {
	for _, c := range acc.Channels {
		fmt.Fprintf(w, "  %-12s %s\n", c.Channel, c.words(s))
	}
	if acc.Unwritten > 0 {
		fmt.Fprintf(w, "  %s\n", s.yellow(count(acc.Unwritten, "more recipient")+" being written down"))
	}
	var missed, delayed, got []recipient
	for _, r := range acc.Recipients {
		switch {
		case r.Outcome != string(ledger.Delivered):
			missed = append(missed, r)
		case r.Delayed:
			delayed = append(delayed, r)
		default:
			got = append(got, r)
		}
	}
	acc.printEach(w, s, "Did not get it:", missed, func(r recipient) string { return r.words(s, now) })
	acc.printEach(w, s, "Sent, and not there yet; if it comes back it is reported as bounced:", delayed, func(r recipient) string { return r.wordsOfDelay(s) })
	printDelivered(w, s, got)
}

// mostAlike is how many recipients with the same reason are listed one by one.
const mostAlike = 3

// printEach lists recipients under a heading. Of many with the same reason it lists the
// first, unless all are asked for; those to be told by contract are always listed.
func (acc account) printEach(w io.Writer, s style, heading string, list []recipient, words func(recipient) string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", s.bold(heading))
	for _, alike := range acc.alike(list) {
		listed := len(alike)
		if listed > mostAlike+1 && !acc.all { // "and 1 other" saves nothing
			listed = mostAlike
		}
		for _, r := range alike[:listed] {
			fmt.Fprintf(w, "  %-12s %s\n", r.Channel, words(r))
		}
		if more := len(alike) - listed; more > 0 {
			fmt.Fprintf(w, "  %-12s %s\n", alike[0].Channel, s.dim(fmt.Sprintf("… and %d others for the same reason; 'sitrep report %s --all' lists them", more, shortKey(acc.Update))))
		}
	}
}

// alike puts the recipients together of whom the same is said, in the order of the first
// of each.
func (acc account) alike(list []recipient) [][]recipient {
	var all [][]recipient
	at := map[string]int{}
	for n, r := range list {
		key := strings.Join([]string{r.Channel, r.Outcome, strings.ReplaceAll(r.Reason, r.Address, "")}, "\x00")
		if r.Required {
			key = fmt.Sprint(n)
		}
		i, known := at[key]
		if !known {
			i, at[key] = len(all), len(all)
			all = append(all, nil)
		}
		all[i] = append(all[i], r)
	}
	return all
}

func printDelivered(w io.Writer, s style, list []recipient) {
	if len(list) > 0 {
		fmt.Fprintf(w, "\n%s\n", s.bold("Got it:"))
	}
	for _, r := range list {
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
	list := r.List
	if r.Required {
		list += ", required by contract"
	}
	line := fmt.Sprintf("%s (%s): %s", who, list, state)
	if r.Reason != "" {
		line += ": " + r.Reason
	}
	if r.Next.After(now) {
		line += fmt.Sprintf(", next attempt in %s", r.Next.Sub(now).Round(time.Second))
	}
	return line
}

// wordsOfDelay is "bob@abc.example (contacts): sent at 14:20:05 UTC, not delivered yet: …".
func (r recipient) wordsOfDelay(s style) string {
	list := r.List
	if r.Required {
		list += ", required by contract"
	}
	return fmt.Sprintf("%s (%s): sent at %s, %s", addressee(r.Name, r.Address), list, r.Settled.UTC().Format("15:04:05 UTC"), s.yellow(cmp.Or(r.Reason, ledger.NotYet)))
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
