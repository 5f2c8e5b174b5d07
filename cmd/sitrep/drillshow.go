package main

import (
	"fmt"
	"strings"
	"time"
)

// certificateSoon is how long before its end a certificate is worth a word.
const certificateSoon = 14 * 24 * time.Hour

func (a *app) printDrill(all []drilled, sum drillSum) {
	s := a.style(a.out)
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s (%s)\n", s.bold(oneLine(d.Channel)), oneLine(d.Kind))
		a.printSteps(d, s)
		a.printTried(d, s)
	}
	if len(all) > 0 {
		fmt.Fprintln(a.out)
	}
	fmt.Fprintln(a.out, sum.words(s))
}

func (a *app) printSteps(d drilled, s style) {
	remote := ""
	for _, x := range d.Steps {
		if x.Remote != remote {
			remote = x.Remote
			fmt.Fprintf(a.out, "  %s\n", oneLine(remote))
		}
		mark := s.green("ok      ")
		if !x.OK {
			mark = s.red("FAILED  ")
		}
		note := ""
		if !x.Until.IsZero() && x.Until.Before(a.now().Add(certificateSoon)) {
			note = s.yellow(" (ends within two weeks: renew it)")
		}
		fmt.Fprintf(a.out, "    %s  %-11s %s%s\n", mark, x.Step, oneLine(x.Detail), note)
	}
}

// printTried prints the recipients: those that do not work first.
func (a *app) printTried(d drilled, s style) {
	marks := map[string]string{drillRefused: s.red("REFUSED "), drillTemporary: s.yellow("later   "), drillOK: s.green("ok      "), drillGone: s.dim("not sent")}
	left := 0
	for _, result := range []string{drillRefused, drillTemporary, drillOK, drillGone, drillNotTried} {
		for _, r := range d.Recipients {
			switch {
			case r.Result != result:
			case result == drillNotTried:
				left++
			default:
				fmt.Fprintf(a.out, "    %s  %s\n", marks[result], r.words(s))
			}
		}
	}
	switch {
	case left > 0:
		fmt.Fprintf(a.out, "    not tried  %s: %s\n", count(left, "recipient"), d.NotTried)
	case len(d.Recipients) == 0:
		fmt.Fprintf(a.out, "    no list has a recipient on it\n")
	}
}

// words is "Bob <bob@abc.example> for abc: no such user", or what else is to be said.
func (r drillRecipient) words(s style) string {
	line := addressee(r.Name, r.Address)
	if r.Required {
		line += s.bold(" (required by contract)")
	}
	if r.Result != drillOK {
		line += s.dim(" for " + strings.Join(r.Customers, ", "))
	}
	if r.Words != "" {
		line += ": " + oneLine(r.Words)
	}
	if r.Suppressed != "" || r.Result == drillGone {
		line += ": " + s.yellow("suppressed since "+r.Since.UTC().Format(time.DateOnly)+": "+oneLine(r.Suppressed))
	}
	if r.Ignored {
		line += " " + ignoredNote
	}
	return line
}

// words is the summary in one line.
func (s drillSum) words(in style) string {
	var parts []string
	if s.Steps > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s went well", s.Steps-s.FailedSteps, count(s.Steps, "step")))
	}
	if s.OK+s.Refused+s.Temporary > 0 {
		parts = append(parts, fmt.Sprintf("%s ok, %d refused, %d to be tried again later", count(s.OK, "recipient"), s.Refused, s.Temporary))
	}
	if s.NotTried > 0 {
		parts = append(parts, fmt.Sprintf("%d not tried", s.NotTried))
	}
	if s.Suppressed > 0 {
		parts = append(parts, fmt.Sprintf("%d suppressed", s.Suppressed))
	}
	text := strings.Join(parts, "; ") + ". Nothing was sent."
	switch s.code() {
	case exitOK:
		return in.green("✓ Everything that was tried works: ") + text
	case exitFailed:
		return in.red("Something does not work: ") + text
	}
	if s.Steps+s.OK+s.Temporary == 0 {
		return in.yellow("Nothing could be tried. Nothing was sent.")
	}
	return in.yellow("Not everything is proven: ") + text
}
