package acceptance_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sitrep/channels"
	"sitrep/channels/builtin"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/metrics"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

// source is a sitrep whose metrics Prometheus can scrape.
type source struct {
	address string // host:port; the metrics are at /metrics

	// load has it send updates of which some arrive, some are refused for good,
	// some wait for a channel that answers 503, and some for one that is at rest.
	// It returns once the metrics say so.
	load func(t *testing.T)
}

// newSource starts one: the dispatcher, a ledger and the metrics in this process, and
// real channels that speak to servers on the loopback interface. It is the one place
// in this package that imports the module, for there is no command that serves
// metrics; with one, this is the only function to change.
func newSource(t *testing.T) source {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"))
	if err != nil {
		t.Fatal(err)
	}
	lanes := sourceLanes(t)
	parties := []incident.Party{sourceParty("enterprise-abc", "Enterprise ABC"), sourceParty("small-shop", "Small Shop")}
	m := metrics.New(sourceOptions(l, lanes, parties))
	d, err := dispatcher.New(dispatcher.Options{Ledger: l, Lanes: lanes, Parties: parties, Renderers: renderers.Builtin(), Record: m})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = d.Run(ctx) })
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		cancel()
		running.Wait()
		_ = l.Close()
	})
	s := source{address: srv.Listener.Addr().String()}
	s.load = func(t *testing.T) {
		for _, p := range parties {
			publish(t, d, p.Name, "Identified")
			publish(t, d, p.Name, "Monitoring")
		}
		s.await(t, `sitrep_deliveries_total{channel="good",customer="small-shop",outcome="delivered"} 4`,
			`sitrep_deliveries_total{channel="refusing",customer="small-shop",outcome="failed"} 2`,
			`sitrep_channel_up{channel="locked"} 0`, `sitrep_delivery_failures_total{channel="down",reason="unavailable"}`)
	}
	return s
}

// sourceLanes are four channels: one that works, one that answers 503, one that
// refuses every message, and one whose far side is not what it should be.
func sourceLanes(t *testing.T) []dispatcher.Lane {
	t.Helper()
	hooks := func(id string, status int) dispatcher.Lane {
		return sourceLane(t, id, "notify/http", fmt.Sprintf("webhooks: [{id: one, url: %q}, {id: two, url: %q}]", answers(t, status), answers(t, status)))
	}
	// Whatever answers so is no Mattermost webhook: the channel rests.
	locked := sourceLane(t, "locked", "mattermost", fmt.Sprintf("webhook: %q", answers(t, http.StatusOK)+"/hooks/abc"))
	return []dispatcher.Lane{
		hooks("good", http.StatusOK), hooks("down", http.StatusServiceUnavailable), hooks("refusing", http.StatusBadRequest), locked,
	}
}

func sourceLane(t *testing.T, id, kind, stanza string) dispatcher.Lane {
	t.Helper()
	c, err := builtin.Kinds()[kind].New(func(v any) error { return yaml.Unmarshal([]byte(stanza), v) }, channels.Env{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return dispatcher.Lane{ID: id, Kind: kind, Channel: c}
}

// answers is a server that answers everything with one status.
func answers(t *testing.T, status int) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func sourceParty(id, name string) incident.Party {
	p := incident.Party{ID: id, Name: name, Zone: time.UTC, Lists: []incident.List{{ID: "team", Audience: incident.Internal}}}
	for _, channel := range []string{"good", "down", "refusing"} {
		p.Lists[0].To = append(p.Lists[0].To, incident.Recipient{Channel: channel, Address: "one"})
	}
	p.Lists[0].To = append(p.Lists[0].To,
		incident.Recipient{Channel: "good", Address: "two"}, incident.Recipient{Channel: "locked", Address: "room"})
	return p
}

func sourceOptions(l ledger.Reader, lanes []dispatcher.Lane, parties []incident.Party) metrics.Options {
	o := metrics.Options{Version: "test", Process: true}
	for _, lane := range lanes {
		o.Channels = append(o.Channels, lane.ID)
	}
	for _, p := range parties {
		o.Customers = append(o.Customers, p.ID)
	}
	for _, outcome := range ledger.Outcomes() {
		o.Outcomes = append(o.Outcomes, string(outcome))
	}
	o.Pending = func(ctx context.Context) ([]metrics.Pending, error) {
		tallies, err := l.Tally(ctx, ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
		var all []metrics.Pending
		for _, x := range tallies {
			state := map[bool]string{false: "waiting", true: "retrying"}[x.Retrying]
			all = append(all, metrics.Pending{Channel: x.Channel, State: state, Count: x.Count, Oldest: x.Oldest})
		}
		return all, err
	}
	o.Promises = func(ctx context.Context) ([]metrics.Promise, error) {
		open, err := l.Incidents(ctx, ledger.IncidentQuery{Open: true})
		var all []metrics.Promise
		for _, i := range open {
			all = append(all, metrics.Promise{Customer: i.Customer, Due: i.Next})
		}
		return all, err
	}
	return o
}

func publish(t *testing.T, d *dispatcher.Dispatcher, customer, status string) {
	t.Helper()
	text := fmt.Sprintf("### %s SEV1 outage\n\n#### Status: %s\n\n#### Incident Time: 2 hours\n\nIt is down.\n\n"+
		"#### Customer Impact\n\nNobody can sign in.\n\n#### Next Update\n\nin 1 hour\n", customer, status)
	p, err := d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(text)})
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	if _, err := d.Publish(t.Context(), p); err != nil {
		t.Fatalf("Publish: %v", err)
	}
}

// await waits until the metrics hold a line with each beginning.
func (s source) await(t *testing.T, lines ...string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		text := "\n" + string(scrape(t, s.address, "text/plain"))
		missing := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.Contains(text, "\n"+l) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the metrics never said %q, but\n%s", missing, strings.Join(regexp.MustCompile(`(?m)^sitrep_(deliveries|channel).*$`).FindAllString(text, -1), "\n"))
		}
		time.Sleep(50 * time.Millisecond) // a real server has to do something
	}
}

func scrape(t *testing.T, address, accept string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v\n%s", resp.Status, err, b)
	}
	return b
}

// seriesOf are the names of the series that the program declares, those of histograms
// with their endings.
func seriesOf(t *testing.T, address string) []string {
	t.Helper()
	var all []string
	lines := bufio.NewScanner(bytes.NewReader(scrape(t, address, "text/plain")))
	for lines.Scan() {
		name, _, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		if !strings.HasPrefix(name, "#") && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	// Absent until there is something to say.
	return append(all, "sitrep_oldest_pending_timestamp_seconds", "sitrep_next_update_due_timestamp_seconds",
		"sitrep_last_delivery_success_timestamp_seconds")
}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	selector = regexp.MustCompile(`\{[^}]*\}`)
	seriesRE = regexp.MustCompile(`\b(?:[a-z_]+:[a-zA-Z0-9_:]+|(?:sitrep|process|go)_[a-z_]+|ALERTS)\b`)
)

// seriesIn are the names of the series that an expression reads.
func seriesIn(expr string) []string {
	return seriesRE.FindAllString(selector.ReplaceAllString(quoted.ReplaceAllString(expr, `""`), ""), -1)
}
