package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// mostText is how much of an update is read: the parser says what is wrong with
// more than its own limit, and this keeps an endless pipe from filling the memory.
const mostText = 16 << 20

// readUpdate reads the update's text from a file, or from standard input for "-".
func (a *app) readUpdate(file string) ([]byte, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, &coded{exitUsage, fmt.Errorf("the update cannot be read: %w", err)}
		}
		defer f.Close()
		in = f
	} else if isTerminal(a.in) {
		fmt.Fprintln(a.errOut, "Reading the update from the terminal; end it with Ctrl-D.")
	}
	src, err := io.ReadAll(io.LimitReader(in, mostText))
	if err != nil {
		return nil, &coded{exitUsage, fmt.Errorf("the update cannot be read: %w", err)}
	}
	return src, nil
}

// named is the file as it is called in messages.
func named(file string) string {
	if file == "-" {
		return "standard input"
	}
	return file
}

// printProblems prints every problem of an update, as file:line where it has one.
func (a *app) printProblems(file string, problems incident.Problems) {
	if a.json {
		a.printJSON(map[string]any{"refused": "update", "problems": problemList(problems)})
		return
	}
	s, ending := a.style(a.errOut), ""
	if a.undone != "" {
		ending = " Nothing was sent to anyone."
	}
	fmt.Fprintf(a.errOut, "%s %s has %s.%s\n", s.red("Refused:"), named(file), count(len(problems), "problem"), ending)
	for _, p := range problems {
		fmt.Fprintf(a.errOut, "  %s%s %s\n", s.bold(place(file, p.Line)), printable(p.What), printable(p.Remedy))
	}
}

func place(file string, line int) string {
	if line == 0 {
		return ""
	}
	if file == "-" {
		file = "line "
		return fmt.Sprintf("%s%d: ", file, line)
	}
	return fmt.Sprintf("%s:%d: ", file, line)
}

// problem is a problem for programs.
type problem struct {
	Line   int    `json:"line,omitempty"`
	What   string `json:"what"`
	Remedy string `json:"remedy,omitempty"`
}

func problemList(ps incident.Problems) []problem {
	list := make([]problem, len(ps))
	for i, p := range ps {
		list[i] = problem(p)
	}
	return list
}

// finding is one thing the leak guard objects to, for programs.
type finding struct {
	Audience incident.Audience `json:"audience"`
	Section  string            `json:"section,omitempty"`
	Line     int               `json:"line,omitempty"`
	Kind     string            `json:"kind"`
	Text     string            `json:"text"`
	Why      string            `json:"why"`
	Remedy   string            `json:"remedy"`
}

func findingList(fs []renderers.Finding) []finding {
	list := make([]finding, len(fs))
	for i, f := range fs {
		list[i] = finding{f.Audience, f.Section, f.Line, string(f.Kind), f.Text, f.Why, f.Remedy}
	}
	return list
}

func (a *app) printRefusal(file string, r *dispatcher.Refusal) {
	if a.json {
		a.printJSON(map[string]any{"refused": "leak guard", "findings": findingList(r.Findings)})
		return
	}
	fmt.Fprintf(a.errOut, "%s %s: %s\n", a.style(a.errOut).red("Refused by the leak guard:"), named(file), printable(r.Error()))
}

// printPrepared shows what is about to happen: warnings and the plan.
func (a *app) printPrepared(file string, p dispatcher.Prepared) {
	a.warnings = p.Warnings
	if a.json {
		return
	}
	s := a.style(a.out)
	for _, w := range p.Warnings {
		fmt.Fprintf(a.errOut, "%s %s%s %s\n", a.style(a.errOut).yellow("warning:"), place(file, w.Line), printable(w.What), printable(w.Remedy))
	}
	a.printHead(p.Update)
	for _, g := range groups(p.Plan) {
		fmt.Fprintf(a.out, "  %-16s %-9s %-34s %s\n", g.list, g.audience, g.where(), s.dim(sections(p.Update, g.audience)))
	}
	for _, l := range p.Plan.Left {
		fmt.Fprintf(a.out, "  %s\n", s.dim(fmt.Sprintf("%-16s not told (%s): %s", l.List, count(l.Count, "recipient"), l.Why)))
	}
	if p.Earlier != nil {
		fmt.Fprintf(a.out, "\n%s\n", s.yellow(again(p)))
	}
}

// again says what a second submission of the same update means.
func again(p dispatcher.Prepared) string {
	msg := fmt.Sprintf("This update was accepted before (%s, update %d of %s).", utc(p.Earlier.Accepted), p.Earlier.Seq, p.Earlier.Incident)
	if p.New == 0 {
		return msg + " Nobody is told twice; what is still pending goes on."
	}
	return msg + fmt.Sprintf(" Only %s who were not told then will be.", count(p.New, "recipient"))
}

// printHead is the update in three lines.
func (a *app) printHead(u incident.Update) {
	s := a.style(a.out)
	zone := u.Zone
	if zone == nil {
		zone = time.UTC
	}
	fmt.Fprintf(a.out, "%s  %s\n", s.bold(oneLine(strings.TrimSpace(u.CustomerName+" "+u.Severity.String()))), s.status(string(u.Status), u.Status.Title()))
	fmt.Fprintf(a.out, "  update %d of %s, %s, after %s\n", u.Seq, oneLine(u.Incident), u.At.In(zone).Format("2006-01-02 15:04 MST"), incident.Hours(u.Elapsed()))
	if !u.Next.IsZero() {
		fmt.Fprintf(a.out, "  next update promised for %s (%s)\n", u.Next.In(zone).Format("2006-01-02 15:04 MST"), u.Next.UTC().Format("15:04 UTC"))
	}
	fmt.Fprintln(a.out)
}

// group is the part of a plan that goes out as one list.
type group struct {
	list     string
	audience incident.Audience
	order    []string
	channels map[string]int
	gone     map[string]int // of these: not written to any more
}

func groups(p dispatcher.Plan) []group {
	var all []group
	for _, x := range p.Groups() {
		i := slices.IndexFunc(all, func(g group) bool { return g.list == x.List && g.audience == x.Audience })
		if i < 0 {
			i = len(all)
			all = append(all, group{list: x.List, audience: x.Audience, channels: map[string]int{}, gone: map[string]int{}})
		}
		if all[i].channels[x.Channel] == 0 {
			all[i].order = append(all[i].order, x.Channel)
		}
		all[i].channels[x.Channel] += x.Recipients
		all[i].gone[x.Channel] += x.Suppressed
	}
	return all
}

// told is how many would be written to.
func told(p dispatcher.Plan) (n int) {
	for _, g := range p.Groups() {
		n += g.Told()
	}
	return n
}

// where is "mail 24 (2 suppressed), page 1".
func (g group) where() string {
	words := make([]string, len(g.order))
	for i, ch := range g.order {
		words[i] = fmt.Sprintf("%s %d", ch, g.channels[ch])
		if n := g.gone[ch]; n > 0 {
			words[i] += fmt.Sprintf(" (%d suppressed)", n)
		}
	}
	return strings.Join(words, ", ")
}

// sections is what an audience sees of u, in words.
func sections(u incident.Update, a incident.Audience) string {
	var names []string
	for _, v := range renderers.Visible(u, a) {
		names = append(names, oneLine(v.Heading))
	}
	return "sees: " + strings.Join(names, ", ")
}

// planned is a plan for programs.
type planned struct {
	Incident   string            `json:"incident"`
	Update     string            `json:"update"`
	Seq        int               `json:"seq"`
	Customer   string            `json:"customer"`
	Status     incident.Status   `json:"status"`
	At         time.Time         `json:"at"`
	Started    time.Time         `json:"started"`
	Next       time.Time         `json:"next_update,omitzero"`
	Duplicate  bool              `json:"accepted_before"`
	New        int               `json:"new"`
	Warnings   []problem         `json:"warnings"`
	Deliveries []plannedDelivery `json:"deliveries"`
	Left       []left            `json:"not_told"`
}

type plannedDelivery struct {
	Channel    string            `json:"channel"`
	Address    string            `json:"address"`
	Name       string            `json:"name,omitempty"`
	Audience   incident.Audience `json:"audience"`
	Lists      []string          `json:"lists"`
	Suppressed string            `json:"suppressed,omitempty"`
	Already    bool              `json:"already,omitempty"`
}

type left struct {
	List  string `json:"list"`
	Count int    `json:"recipients"`
	Why   string `json:"why"`
}

func planJSON(p dispatcher.Prepared) planned {
	u := p.Update
	out := planned{
		Incident: u.Incident, Update: u.Key, Seq: u.Seq, Customer: u.Customer, Status: u.Status, At: u.At, Started: u.Started,
		Next: u.Next, Duplicate: p.Earlier != nil, New: p.New, Warnings: problemList(p.Warnings),
		Deliveries: []plannedDelivery{}, Left: []left{},
	}
	for d := range p.Plan.Deliveries() {
		pd := plannedDelivery{
			Channel: d.To.Channel, Address: d.To.Address, Name: d.To.Name, Audience: d.Audience,
			Suppressed: d.Suppressed, Already: d.Already,
		}
		for _, r := range d.Reach {
			pd.Lists = append(pd.Lists, r.List)
		}
		out.Deliveries = append(out.Deliveries, pd)
	}
	for _, l := range p.Plan.Left {
		out.Left = append(out.Left, left(l))
	}
	return out
}

// dryRun ends a send before it sends.
func (a *app) dryRun(p dispatcher.Prepared) error {
	if a.json {
		a.printJSON(map[string]any{"plan": planJSON(p)})
		return nil
	}
	fmt.Fprintf(a.out, "\nDry run: %s would be told. Nothing was sent.\n", count(told(p.Plan), "recipient"))
	return nil
}

func (a *app) printAccepted(acc ledger.Accepted) {
	if a.json || acc.Added == 0 {
		return
	}
	fmt.Fprintf(a.out, "\nAccepted: %s on disk under %s.\n", count(acc.Added, "new delivery"), shortKey(acc.Update.Key))
}
