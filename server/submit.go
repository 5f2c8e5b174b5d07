package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"sitrep/dispatcher"
	"sitrep/incident"
)

// SubmitInput is the request to send or preview an update. What its parameters say
// wins over what a JSON body says.
type SubmitInput struct {
	Incident string   `query:"incident" doc:"The incident's id, or new." maxLength:"64"`
	Key      string   `query:"key" doc:"The update's key: what has been sent under it is not sent again. Default: derived from the text." maxLength:"128"`
	Next     string   `query:"next" doc:"When the next update comes: a time (8:30am ET) or a duration (45m)." maxLength:"100"`
	Only     []string `query:"only" doc:"Send only to these audiences, lists or channels." maxItems:"50"`
	Override string   `query:"override" doc:"Why it is to be sent although the leak guard objects. It is recorded with the token's name." maxLength:"1000"`

	Idempotency string `header:"Idempotency-Key" doc:"The same key from the same token is the same update." maxLength:"255"`
	Prefer      string `header:"Prefer" doc:"wait=N waits up to N seconds (120 at most) for the finished report (RFC 7240)." maxLength:"200"`
	ContentType string `header:"Content-Type"`

	RawBody []byte
}

// Submission is an update as JSON: its Markdown, or its fields.
type Submission struct {
	Markdown string `json:"markdown,omitempty" doc:"The team's template. If it is given, the fields are not."`

	Customer       string `json:"customer,omitempty" doc:"Id, name or alias."`
	Severity       string `json:"severity,omitempty" doc:"SEV1 to SEV5."`
	Status         string `json:"status,omitempty" doc:"investigating, identified, monitoring or resolved."`
	At             string `json:"at,omitempty" doc:"When it speaks: a time, such as 7:20pm ET. Default: now."`
	Started        string `json:"started,omitempty" doc:"When the incident began: a time, such as 2026-11-22 10:20 UTC."`
	Summary        string `json:"summary,omitempty" doc:"Markdown. Customers read it."`
	CustomerImpact string `json:"customer_impact,omitempty" doc:"Markdown. Customers read it."`
	TechnicalNotes string `json:"technical_notes,omitempty" doc:"Markdown. For our own people only."`
	PublicSummary  string `json:"public_summary,omitempty" doc:"Markdown. What customers and the public read instead of the summary."`

	Incident string   `json:"incident,omitempty" doc:"The incident's id, or new."`
	Key      string   `json:"key,omitempty" doc:"The update's key."`
	Next     string   `json:"next_update,omitempty" doc:"When the next update comes: a time or a duration."`
	Only     []string `json:"only,omitempty" doc:"Audiences, lists or channels."`
	Override string   `json:"override,omitempty" doc:"Why it is to be sent although the leak guard objects."`
}

// submission is what the request asks the dispatcher for. Composed says that the text
// was made of fields, so that its lines mean nothing to the caller.
func (in *SubmitInput) submission(who principal) (s dispatcher.Submission, composed bool, err error) {
	body, err := in.decode()
	if err != nil {
		return s, false, err
	}
	s = dispatcher.Submission{
		Source: []byte(body.Markdown), Incident: first(in.Incident, body.Incident), Key: first(in.Key, body.Key),
		Next: first(in.Next, body.Next), Only: in.Only, Override: first(in.Override, body.Override),
	}
	if len(s.Only) == 0 {
		s.Only = body.Only
	}
	if in.Idempotency != "" {
		s.Key = idempotent(who, in.Idempotency)
	}
	s.Override = signed(s.Override, who)
	if composed = body.Markdown == ""; composed {
		text, flaws := body.compose()
		s.Source, err = text, flaws.Err()
	}
	return s, composed, err
}

// signed is the reason of an override and who gave it.
func signed(reason string, who principal) string {
	if reason = strings.TrimSpace(reason); reason == "" {
		return ""
	}
	return fmt.Sprintf("%s (by %s)", reason, who.name)
}

// idempotent is the update key for an Idempotency-Key. Keys of different callers are
// different updates: one cannot find out what another has sent.
func idempotent(who principal, key string) string {
	return "idem-" + lower32.EncodeToString(hashOf(fmt.Sprintf("%d:%s%s", len(who.id), who.id, key)))[:26]
}

func first(values ...string) string {
	for _, v := range values {
		if v = strings.TrimSpace(v); v != "" {
			return v
		}
	}
	return ""
}

// decode reads the body by its kind.
func (in *SubmitInput) decode() (Submission, error) {
	kind, _, err := mime.ParseMediaType(in.ContentType)
	switch {
	case err == nil && (kind == "text/markdown" || kind == "text/plain"):
		if len(bytes.TrimSpace(in.RawBody)) == 0 {
			return Submission{}, badRequest("body", "There is no update in the body.", "Send the Markdown of the update.")
		}
		return Submission{Markdown: string(in.RawBody)}, nil
	case err == nil && kind == "application/json":
		return decodeJSON(in.RawBody)
	}
	p := problem(http.StatusUnsupportedMediaType, "Say what the body is: Content-Type: text/markdown, or application/json.")
	return Submission{}, p
}

func decodeJSON(body []byte) (Submission, error) {
	var s Submission
	if err := strictJSON(body, &s); err != nil {
		return s, err
	}
	if s.Markdown != "" && s.fields() {
		return s, badRequest("body.markdown", "The body has the Markdown of the update and fields beside it.", "Send one or the other.")
	}
	if s.Markdown == "" && !s.fields() {
		return s, badRequest("body", "There is no update in the body.", "Send it as markdown, or as fields: customer, status, summary.")
	}
	return s, nil
}

// strictJSON reads one JSON document with nothing unknown in it.
func strictJSON(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the JSON document")
		}
	}
	if err == nil && !utf8.Valid(body) {
		err = errors.New("it is not UTF-8")
	}
	if err == nil {
		return nil
	}
	where := "body"
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && t.Field != "" {
		where += "." + t.Field
		err = fmt.Errorf("it is a JSON %s and must be a %s", t.Value, t.Type)
	}
	return badRequest(where, sentence("the JSON cannot be read: "+strings.TrimPrefix(err.Error(), "json: ")), "See the API's description at "+base+"/openapi.json.")
}

func (s Submission) fields() bool {
	return first(s.Customer, s.Severity, s.Status, s.At, s.Started, s.Summary, s.CustomerImpact, s.TechnicalNotes, s.PublicSummary) != ""
}

// oneLine is a field that goes into a line of the template.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// compose writes the fields as the team's template, and makes sure that it reads back
// as the same: a line in one field must not begin another section.
func (s Submission) compose() ([]byte, incident.Problems) {
	var b strings.Builder
	b.WriteString("---\n")
	for _, f := range []struct{ key, value string }{{"customer", s.Customer}, {"severity", s.Severity}, {"started", s.Started}} {
		if v := oneLine(f.value); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", f.key, quoted(v))
		}
	}
	b.WriteString("---\n\n")
	b.WriteString(s.title())
	fmt.Fprintf(&b, "#### Status: %s\n\n", oneLine(s.Status))
	sections := []struct{ heading, text string }{
		{"", s.Summary}, {"Customer Impact", s.CustomerImpact}, {"Technical Notes", s.TechnicalNotes}, {"Public Summary", s.PublicSummary},
	}
	for _, x := range sections {
		if strings.TrimSpace(x.text) == "" {
			continue
		}
		if x.heading != "" {
			fmt.Fprintf(&b, "#### %s\n\n", x.heading)
		}
		b.WriteString(strings.Trim(lf(x.text), "\n") + "\n\n")
	}
	text := []byte(b.String())
	return text, s.readsBack(text)
}

// title is there for the time only: the front matter names the customer.
func (s Submission) title() string {
	at := oneLine(s.At)
	if at == "" {
		return ""
	}
	name := plainTitle(s.Customer)
	if sev, err := incident.ParseSeverity(s.Severity); err == nil {
		name = sev.String()
	}
	return fmt.Sprintf("### %s outage - %s update\n\n", name, at)
}

var titleForm = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N} .&'_/-]{0,99}$`)

// plainTitle is the customer for the title line, if it is fit for it.
func plainTitle(name string) string {
	if name = oneLine(name); titleForm.MatchString(name) {
		return name
	}
	return ""
}

// quoted is a YAML double-quoted scalar; JSON strings are that (YAML 1.2, 1.2).
func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always can be written
	}
	return string(b)
}

func lf(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n") }

// readsBack compares what was meant with what is read.
func (s Submission) readsBack(text []byte) incident.Problems {
	d, _ := incident.Parse(text)
	var all incident.Problems
	if oneLine(s.Customer) == "" {
		return incident.Problems{{What: "The field customer is missing.", Remedy: "Name the customer by id, name or alias."}}
	}
	if name := d.Customer.Text; name != "" && name != oneLine(s.Customer) {
		all = append(all, misread("customer"))
	}
	for _, x := range []struct{ name, meant, read string }{
		{"customer", s.Customer, d.Front.Customer.Text},
		{"status", s.Status, d.Status.Text},
		{"severity", s.Severity, d.Front.Severity.Text},
		{"started", s.Started, d.Front.Started.Text},
		{"at", s.At, d.Time.Text},
	} {
		if oneLine(x.meant) != oneLine(x.read) {
			all = append(all, misread(x.name))
		}
	}
	for _, x := range []struct{ name, meant, read string }{
		{"summary", s.Summary, d.Summary.Text},
		{"customer_impact", s.CustomerImpact, d.CustomerImpact.Text},
		{"technical_notes", s.TechnicalNotes, d.TechnicalNotes.Text},
		{"public_summary", s.PublicSummary, d.PublicSummary.Text},
	} {
		if bare(x.meant) != bare(x.read) {
			all = append(all, misread(x.name))
		}
	}
	if len(d.Other) > 0 && len(all) == 0 {
		all = append(all, misread("summary"))
	}
	return all
}

// bare is a text without the white space that does not matter.
func bare(s string) string {
	lines := strings.Split(lf(strings.TrimPrefix(s, "\ufeff")), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n ")
}

func misread(field string) incident.Problem {
	return incident.Problem{
		What:   fmt.Sprintf("The field %s holds a line that the template reads as something else, such as a heading, a status or a page's footer.", field),
		Remedy: "Word that line differently, or send the whole update as markdown.",
	}
}

var waitForm = regexp.MustCompile(`(?i)^\s*wait\s*=\s*"?(\d{1,6})"?\s*$`)

// waits is how long a Prefer header asks to wait (RFC 7240, 4.3), 0 if it does not.
func waits(prefer string) time.Duration {
	for part := range strings.SplitSeq(prefer, ",") {
		part, _, _ = strings.Cut(part, ";")
		if m := waitForm.FindStringSubmatch(part); m != nil {
			var n int
			if _, err := fmt.Sscan(m[1], &n); err == nil {
				return min(time.Duration(n)*time.Second, maxWait)
			}
		}
	}
	return 0
}

const maxWait = 2 * time.Minute
