package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// PlaybookRun is the body of the Mattermost Playbooks webhook: a run, and what
// happened to it. Fields that are not used here are left out.
type PlaybookRun struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	CreateAt   int64         `json:"create_at" doc:"Milliseconds since 1970."`
	ChannelURL string        `json:"channel_url,omitempty"`
	DetailsURL string        `json:"details_url,omitempty"`
	Event      PlaybookEvent `json:"event"`
}

// PlaybookEvent is what happened to a run. Only status_updated makes an update.
type PlaybookEvent struct {
	Type    string `json:"type" doc:"status_updated; others are left alone."`
	At      int64  `json:"at" doc:"Milliseconds since 1970."`
	UserID  string `json:"user_id,omitempty"`
	Payload struct {
		Message   string `json:"message"`
		Reminder  int64  `json:"reminder,omitempty" doc:"Nanoseconds until the next update is due."`
		FinishRun bool   `json:"finish_run,omitempty"`
	} `json:"payload"`
}

var runIDForm = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// playbook turns a status update into a notice. A message in the team's template is
// taken as it is; any other becomes the summary of one.
func (s *Server) playbook(ctx context.Context, set Setup, in Input, body []byte) ([]notice, error) {
	var run PlaybookRun
	if err := json.Unmarshal(body, &run); err != nil || run.ID == "" || run.Event.Type == "" || !runIDForm.MatchString(run.ID) {
		return nil, badRequest("body", "This is not the JSON of a Playbooks webhook: it needs id and event.type.", "Name this address under the playbook's outgoing webhooks for status updates.")
	}
	if run.Event.Type != "status_updated" {
		return nil, nil
	}
	i := slices.IndexFunc(set.Parties, func(p incident.Party) bool { return p.ID == in.Customer })
	if i < 0 {
		return nil, fmt.Errorf("input %s: there is no customer %q", in.ID, in.Customer)
	}
	event := run.Event.Payload
	n := notice{
		input: in, party: set.Parties[i], incident: in.ID + "-" + run.ID, next: in.Next,
		key: "pb-" + short(in.ID, run.ID, fmt.Sprint(run.Event.At), event.Message),
	}
	if len(n.incident) > 64 {
		n.incident = short(n.incident)
	}
	if event.Reminder > 0 && !event.FinishRun {
		n.next = fmt.Sprintf("%dm", (time.Duration(event.Reminder)+time.Minute-1)/time.Minute)
	}
	rows, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: n.incident})
	if err != nil {
		return nil, err
	}
	if d, form := incident.Parse([]byte(event.Message)); len(form) == 0 && d.Status.Text != "" {
		n.source = []byte(event.Message)
		return []notice{n}, nil
	}
	n.source = run.report(in, n.party, append(rows, ledger.Incident{})[0], &n).compose()
	return []notice{n}, nil
}

// report is a message that is not in the template.
func (run PlaybookRun) report(in Input, p incident.Party, last ledger.Incident, n *notice) report {
	r := report{party: p, severity: in.Severity, summary: run.Event.Payload.Message, status: string(in.Status)}
	if last.Seq > 0 {
		r.severity = 0
	} else if run.CreateAt > 0 {
		r.started = time.UnixMilli(run.CreateAt)
	}
	if run.Event.Payload.FinishRun {
		r.status = string(incident.Resolved)
	}
	if r.status == "" {
		r.status = cmp.Or(last.Status, string(incident.Investigating))
		n.why = append(n.why, "The message does not say the status: check it.")
	}
	var notes []string
	for _, x := range []struct{ what, value string }{{"Run", run.Name}, {"Details", run.DetailsURL}, {"Room", run.ChannelURL}} {
		if v := oneLine(x.value); v != "" {
			notes = append(notes, "- "+x.what+": "+v)
		}
	}
	r.technical = strings.Join(notes, "\n")
	return r
}
