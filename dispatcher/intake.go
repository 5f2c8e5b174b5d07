package dispatcher

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// Submission is an update as somebody hands it in, and what they say beside it.
// Empty fields leave the word to the update's own text.
type Submission struct {
	Source   []byte   // the Markdown
	Incident string   // --incident
	Key      string   // the idempotency key; empty: the front matter's, or one of the content
	Next     string   // --next
	Only     []string // --only, see Who
	Override string   // why the leak guard's findings are to be sent all the same
}

// Prepared is an update ready to be published: everything is decided, nothing is
// recorded.
type Prepared struct {
	Update   incident.Update
	Source   []byte
	Warnings incident.Problems
	Plan     Plan
	Findings []renderers.Finding

	// Earlier is set if this update (its key) was accepted before: publishing it
	// adds only recipients who were not told then.
	Earlier *ledger.Update
	// New is how many deliveries publishing adds: all of the plan, but for an
	// Earlier update.
	New int

	submission Submission
	override   string
	cleared    bool
	took       span // Prepare
}

// Prepare reads, resolves and plans an update, and has the leak guard read what
// would leave the team. It records nothing, and what it returns is what preview and
// --dry-run show.
//
// What the author can mend is an incident.Problems with every problem at once; what
// the leak guard refuses is a *Refusal. Both come with a Prepared as complete as it
// can be. Any other error is the ledger's.
func (d *Dispatcher) Prepare(ctx context.Context, s Submission) (Prepared, error) {
	began := d.o.Now()
	p, err := d.prepare(ctx, s)
	p.took = span{began, d.o.Now()}
	return p, err
}

func (d *Dispatcher) prepare(ctx context.Context, s Submission) (Prepared, error) {
	p := Prepared{Source: s.Source, submission: s}
	draft, _ := incident.Parse(s.Source) // Resolve repeats its problems
	key := cmp.Or(strings.TrimSpace(s.Key), draft.Key())
	earlier, err := d.earlier(ctx, key)
	if err != nil {
		return p, err
	}
	p.Earlier = earlier
	if earlier != nil {
		return d.again(ctx, p, s)
	}
	return d.first(ctx, p, draft, key)
}

// first prepares an update that was not seen before.
func (d *Dispatcher) first(ctx context.Context, p Prepared, draft incident.Draft, key string) (Prepared, error) {
	known, err := d.known(ctx, p.submission)
	if err != nil {
		return p, err
	}
	u, problems, warnings := draft.Resolve(known)
	u.Key = key
	p.Update, p.Warnings = u, warnings
	if len(problems) == 0 {
		problems = u.Validate() // a key from outside the text
	}
	if err := problems.Err(); err != nil {
		return p, err
	}
	return d.planned(ctx, p)
}

// again prepares an update that was accepted before: the same incident, the same
// place in its sequence, the same words, for those who were not told.
func (d *Dispatcher) again(ctx context.Context, p Prepared, s Submission) (Prepared, error) {
	if s.Incident != "" && s.Incident != p.Earlier.Incident {
		return p, incident.Problems{sentBefore(*p.Earlier, s.Incident)}
	}
	u, err := Content(*p.Earlier)
	if err != nil {
		return p, err
	}
	p.Update = u
	if !bytes.Equal(bytes.TrimSpace(s.Source), bytes.TrimSpace([]byte(p.Earlier.Source))) {
		p.Warnings = append(p.Warnings, otherText(*p.Earlier))
	}
	of, err := d.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: u.Incident})
	if err != nil {
		return p, fmt.Errorf("look up incident %s: %w", u.Incident, err)
	}
	if len(of) > 0 && of[0].Seq > u.Seq {
		return d.overtaken(p, of[0])
	}
	return d.planned(ctx, p)
}

// otherText warns of a text that differs from what was accepted under its key.
func otherText(u ledger.Update) incident.Problem {
	return incident.Problem{
		What: fmt.Sprintf("The text is not word for word the one that was accepted under this key as update %d of %s; the accepted one counts.",
			u.Seq, u.Incident),
		Remedy: "If it says something new, give it a key of its own, or none.",
	}
}

// overtaken is an earlier update after which the incident has moved on. Who was not
// told of it then is not told now: an old status must not follow a newer one. To ask for
// somebody of whom there is none is a mistake all the same.
func (d *Dispatcher) overtaken(p Prepared, now ledger.Incident) (Prepared, error) {
	if only := p.submission.Only; len(only) > 0 {
		if err := d.meant(p.Update, only); err != nil {
			return p, err
		}
	}
	why := fmt.Sprintf("update %d of the incident (%s) was accepted since", now.Seq, now.Status)
	if party, ok := d.party(p.Update.Customer); ok {
		for _, l := range party.Lists {
			p.Plan.Left = append(p.Plan.Left, Left{List: l.ID, Count: len(l.To), Why: why})
		}
	}
	p.cleared = true
	return p, nil
}

// meant refuses words of --only that mean nobody.
func (d *Dispatcher) meant(u incident.Update, only []string) error {
	party, ok := d.party(u.Customer)
	if !ok {
		return nil // nobody is there to be meant, and nobody is told
	}
	told, left, problems := Who(party, u, only)
	if len(problems) == 0 && len(told) == 0 {
		problems = incident.Problems{nobody(party, left)}
	}
	return problems.Err()
}

func sentBefore(u ledger.Update, wanted string) incident.Problem {
	return incident.Problem{
		What: fmt.Sprintf("This very text was accepted before, as update %d of the incident %s, and you name the incident %s.",
			u.Seq, u.Incident, wanted),
		Remedy: "Change the text, or give this update a key of its own (`key:` in the front matter).",
	}
}

// planned adds the plan, and refuses what must not leave the team.
func (d *Dispatcher) planned(ctx context.Context, p Prepared) (Prepared, error) {
	roster, ok := d.rosters[p.Update.Customer]
	if !ok {
		return p, incident.Problems{{
			What:   fmt.Sprintf("The customer %q is not in the configuration any more.", p.Update.Customer),
			Remedy: "Put it back, or send an update for another customer.",
		}}
	}
	suppressed, err := d.suppressed(ctx)
	if err != nil {
		return p, err
	}
	var problems incident.Problems
	p.Plan, p.Findings, problems = plan(planning{
		update: p.Update, roster: roster, only: p.submission.Only, lanes: d.o.Lanes,
		render: d.o.Renderers.Render, guard: d.o.Guard.Guard,
		suppressed: suppressed, now: d.o.Now(),
	})
	p.Warnings = append(p.Warnings, fallbacks(p.Plan)...)
	if err := problems.Err(); err != nil {
		return p, err
	}
	if err := d.countNew(ctx, &p); err != nil {
		return p, err
	}
	return p.guarded()
}

// guarded clears p for publication, or refuses it.
func (p Prepared) guarded() (Prepared, error) {
	reason := strings.TrimSpace(p.submission.Override)
	if p.Earlier != nil {
		reason = cmp.Or(reason, p.Earlier.Override)
	}
	if len(p.Findings) > 0 && p.New > 0 {
		if reason == "" {
			return p, &Refusal{Findings: p.Findings}
		}
		p.override = reason
	}
	p.cleared = true
	return p, nil
}

// countNew finds whom an earlier acceptance has recorded already.
func (d *Dispatcher) countNew(ctx context.Context, p *Prepared) error {
	drawn := p.Plan.draft
	if p.Earlier != nil {
		var err error
		if drawn.there, err = d.told(ctx, *p.Earlier); err != nil {
			return err
		}
		if drawn.there.all {
			p.Warnings = append(p.Warnings, stillWriting(*p.Earlier))
		}
		m, err := drawn.maker()
		if err != nil {
			return err
		}
		drawn.new = 0
		for range drawn.fresh(m, 0, drawn.roster.places()) {
			drawn.new++
		}
	}
	p.New = drawn.new
	return nil
}

// stillWriting warns of an update that comes again while it is being written down.
func stillWriting(u ledger.Update) incident.Problem {
	return incident.Problem{
		What: fmt.Sprintf("The deliveries of this update to %d more recipients are being written down just now; whoever was added to the lists since is not told.",
			u.Unwritten),
		Remedy: "That takes seconds. Send it again afterwards to tell those who are new.",
	}
}

// fallbacks warns of operators' templates that failed.
func fallbacks(p Plan) incident.Problems {
	var all incident.Problems
	for _, r := range p.Renderings {
		if r.Fallback == nil {
			continue
		}
		x := incident.Problem{
			What:   fmt.Sprintf("On the channel %s (%s): %v.", r.Channel, r.Audience, r.Fallback),
			Remedy: "The update goes out all the same; mend the template before the next one.",
		}
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}

// Retry makes deliveries of an update that failed, bounced, expired or are unknown
// pending again, and returns how many. It wakes the lanes. An update after which the
// incident has moved on is an incident.Problems that names the latest one: old news
// must not follow new, not even to those whom the new did not reach either.
func (d *Dispatcher) Retry(ctx context.Context, update string) (int, error) {
	if err := d.latest(ctx, update); err != nil {
		return 0, err
	}
	now := d.o.Now()
	longest := time.Duration(0)
	for _, l := range d.o.Lanes {
		longest = max(longest, l.Expire)
	}
	n, err := d.o.Ledger.Reopen(ctx, update, now, now.Add(longest))
	if err != nil {
		return 0, fmt.Errorf("retry update %s: %w", update, err)
	}
	d.wake()
	return n, nil
}
