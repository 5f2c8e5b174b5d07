package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// AlertGroup is the body of Alertmanager's webhook, version 4
// (https://prometheus.io/docs/alerting/latest/configuration/#webhook_config); Grafana
// sends the same. Fields that are not used here are left out.
type AlertGroup struct {
	Version     string  `json:"version" doc:"4"`
	GroupKey    string  `json:"groupKey" doc:"The same group is the same incident, until it is resolved."`
	Status      string  `json:"status" doc:"firing or resolved"`
	ExternalURL string  `json:"externalURL,omitempty"`
	Truncated   int     `json:"truncatedAlerts,omitempty"`
	Alerts      []Alert `json:"alerts"`
}

// Alert is one alert of a group.
type Alert struct {
	Status       string            `json:"status" doc:"firing or resolved"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt" doc:"0001-01-01T00:00:00Z while it is firing."`
	GeneratorURL string            `json:"generatorURL,omitempty"`
	Fingerprint  string            `json:"fingerprint"`
}

func (a Alert) resolved() bool { return strings.EqualFold(a.Status, "resolved") }

// alerts turns a group into one notice for each customer in it.
func (s *Server) alerts(ctx context.Context, set Setup, in Input, body []byte) ([]notice, error) {
	var g AlertGroup
	if err := json.Unmarshal(body, &g); err != nil {
		return nil, badRequest("body", "This is not the JSON of Alertmanager's webhook.", "Point an Alertmanager's webhook_configs here.")
	}
	if g.Version != "4" && g.Version != "1" || g.GroupKey == "" || len(g.Alerts) == 0 { // Grafana says 1
		return nil, badRequest("body", "This is not version 4 of Alertmanager's webhook: it needs version, groupKey and alerts.", "Point an Alertmanager's webhook_configs here.")
	}
	of := map[string][]Alert{}
	for _, a := range g.Alerts {
		name := cmp.Or(in.Customer, strings.TrimSpace(a.Labels[in.CustomerLabel]))
		of[name] = append(of[name], a)
	}
	var all []notice
	for _, name := range slices.Sorted(maps.Keys(of)) {
		n, err := s.alertNotice(ctx, set, in, g, name, of[name])
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// alertNotice is what a group says about one customer.
func (s *Server) alertNotice(ctx context.Context, set Setup, in Input, g AlertGroup, name string, alerts []Alert) (notice, error) {
	n := notice{input: in, next: in.Next}
	i := slices.IndexFunc(set.Parties, func(p incident.Party) bool { return p.Answers(name) })
	if i >= 0 {
		n.party = set.Parties[i]
	} else {
		n.why = append(n.why, fmt.Sprintf("The alerts' label %s names no customer: %q.", in.CustomerLabel, name))
	}
	last, err := s.follow(ctx, in.ID+"-"+short(in.Kind, g.GroupKey, cmp.Or(n.party.ID, name)))
	if err != nil {
		return n, err
	}
	over := !slices.ContainsFunc(alerts, func(a Alert) bool { return !a.resolved() })
	n.incident = last.ID
	n.key = "am-" + short(append([]string{in.ID, n.incident}, states(alerts)...)...)
	if over {
		n.next = ""
		if last.Seq == 0 || last.Status == string(incident.Resolved) {
			n.source = nil // resolved, and nobody was told that it had begun
			return n, nil
		}
	}
	r := report{party: n.party, severity: in.severity(alerts), started: earliest(alerts), technical: technical(in, g, alerts)}
	if last.Seq > 0 {
		r.severity, r.started = 0, time.Time{} // what earlier updates said stands
	}
	r.status = string(in.statusOf(last, over))
	r.summary, r.impact, r.public = spoken(alerts, in.Summary, over), spoken(alerts, in.Impact, over), spoken(alerts, in.Public, over)
	n.source = r.compose()
	return n, nil
}

// states is what makes a notification a different one from the last: Alertmanager
// repeats itself.
func states(alerts []Alert) []string {
	var all []string
	for _, a := range alerts {
		state := a.Fingerprint + " " + strings.ToLower(a.Status) + " " + a.StartsAt.UTC().Format(time.RFC3339Nano)
		all = append(all, state)
	}
	slices.Sort(all)
	return all
}

// short is a name that follows from all parts.
func short(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s", len(p), p) // lengths: no two lists read the same
	}
	return lower32.EncodeToString(hashOf(b.String()))[:16]
}

// most is how often one group may come back as a new incident.
const most = 10_000

// follow is the incident that goes on under a name, or the next one to begin: name-1,
// name-2, … A new one has no Seq.
func (s *Server) follow(ctx context.Context, name string) (ledger.Incident, error) {
	var last ledger.Incident
	known := func(n int) (bool, error) {
		rows, err := s.o.Ledger.Incidents(ctx, ledger.IncidentQuery{ID: fmt.Sprintf("%s-%d", name, n)})
		if len(rows) > 0 {
			last = rows[0]
		}
		return len(rows) > 0, err
	}
	// The last that is known is between low, which is, and high, which is not.
	low, high := 0, 1
	for high < most {
		ok, err := known(high)
		if err != nil {
			return last, err
		}
		if !ok {
			break
		}
		low, high = high, high*2
	}
	for high-low > 1 {
		mid := (low + high) / 2
		ok, err := known(mid)
		if err != nil {
			return last, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	if low > 0 {
		if _, err := known(low); err != nil || last.Status != string(incident.Resolved) {
			return last, err
		}
	}
	return ledger.Incident{ID: fmt.Sprintf("%s-%d", name, low+1)}, nil
}

func (in Input) severity(alerts []Alert) incident.Severity {
	worst := incident.Severity(0)
	for _, a := range alerts {
		if v := in.Severities[a.Labels[in.SeverityLabel]]; v > 0 && (worst == 0 || v < worst) {
			worst = v
		}
	}
	return cmp.Or(worst, in.Severity)
}

func (in Input) statusOf(last ledger.Incident, over bool) incident.Status {
	if over {
		return incident.Resolved
	}
	return cmp.Or(in.Status, incident.Status(last.Status), incident.Investigating)
}

func earliest(alerts []Alert) time.Time {
	var at time.Time
	for _, a := range alerts {
		if !a.StartsAt.IsZero() && (at.IsZero() || a.StartsAt.Before(at)) {
			at = a.StartsAt
		}
	}
	return at
}

// spoken is an annotation of the alerts that still fire, or of all if it is over, each
// text once.
func spoken(alerts []Alert, annotation string, over bool) string {
	var all []string
	for _, a := range alerts {
		text := strings.TrimSpace(a.Annotations[annotation])
		if text != "" && (over || !a.resolved()) && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if len(all) > 1 {
		for i := range all {
			all[i] = "- " + oneLine(all[i])
		}
		return strings.Join(all, "\n")
	}
	return strings.Join(all, "\n")
}

// described is how many alerts the notes describe.
const described = 20

// technical is everything else that is known, for our own people.
func technical(in Input, g AlertGroup, alerts []Alert) string {
	var b strings.Builder
	for i, a := range alerts {
		if i == described {
			fmt.Fprintf(&b, "- and %d more alerts\n", len(alerts)-described)
			break
		}
		fmt.Fprintf(&b, "- %s %s since %s\n", cmp.Or(oneLine(a.Labels["alertname"]), "An alert"), strings.ToLower(oneLine(a.Status)),
			a.StartsAt.UTC().Format("2006-01-02 15:04:05 UTC"))
		for _, set := range []map[string]string{a.Labels, a.Annotations} {
			for _, k := range slices.Sorted(maps.Keys(set)) {
				if set[k] != "" && k != "alertname" && k != in.Summary && k != in.Impact && k != in.Public {
					fmt.Fprintf(&b, "  - %s: %s\n", oneLine(k), oneLine(set[k]))
				}
			}
		}
	}
	if g.Truncated > 0 {
		fmt.Fprintf(&b, "- %d more alerts were left out by the sender\n", g.Truncated)
	}
	return b.String()
}
