package acceptance_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// source is a sitrep whose metrics Prometheus can scrape.
type source struct {
	address string // host:port; the metrics are at /metrics

	// load has it send updates of which some arrive, some are refused for good,
	// some wait for a channel that answers 503, and some for one that is at rest.
	// It returns once the metrics say so.
	load func(t *testing.T)
}

// newSource starts one: `sitrep serve` with real channels that speak to servers on the
// loopback interface. One works, one answers 503, one refuses every message, and the
// far side of one is not what it should be, so that it rests.
func newSource(t *testing.T) source {
	t.Helper()
	h := newHome(t, sourceConfig(t))
	for _, name := range []string{"Enterprise ABC", "Small Shop"} {
		for _, status := range []string{"Identified", "Monitoring"} {
			h.write(t, sourceFile(name, status), fmt.Sprintf("### %s SEV1 outage\n\n#### Status: %s\n\n#### Incident Time: 2 hours\n\nIt is down.\n\n"+
				"#### Customer Impact\n\nNobody can sign in.\n\n#### Next Update\n\nin 1 hour\n", name, status))
		}
	}
	s := source{address: "127.0.0.1:" + freePort(t)}
	d := h.daemon(t, nil, s.address)
	s.load = func(t *testing.T) {
		for _, name := range []string{"Enterprise ABC", "Small Shop"} {
			s.post(t, d, sourceFile(name, "Identified"))
			s.post(t, d, sourceFile(name, "Monitoring"))
		}
		s.await(t, `sitrep_deliveries_total{channel="good",customer="small-shop",outcome="delivered"} 4`,
			`sitrep_deliveries_total{channel="refusing",customer="small-shop",outcome="failed"} 2`,
			`sitrep_channel_up{channel="locked"} 0`, `sitrep_delivery_failures_total{channel="down",reason="unavailable"}`)
	}
	return s
}

func sourceFile(customer, status string) string { return customer + " " + status + ".md" }

// post hands an update to the server and does not wait for it to be delivered: some of
// it never is.
func (s source) post(t *testing.T, d served, file string) {
	t.Helper()
	if r := d.sitrep(t, "send", "--timeout", "1ms", file); r.code != 6 && r.code != 0 {
		t.Fatalf("send %s: %v\n%s", file, r, d.log)
	}
}

func sourceConfig(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("channels:\n")
	hooks := func(id string, status int) {
		fmt.Fprintf(&b, "  - {id: %s, kind: notify/http, webhooks: [{id: one, url: %q}, {id: two, url: %q}]}\n",
			id, answers(t, status), answers(t, status))
	}
	hooks("good", http.StatusOK)
	hooks("down", http.StatusServiceUnavailable)
	hooks("refusing", http.StatusBadRequest)
	// Whatever answers so is no Mattermost webhook: the channel rests.
	fmt.Fprintf(&b, "  - {id: locked, kind: mattermost, webhook: %q}\n", answers(t, http.StatusOK)+"/hooks/abc")
	// Nothing comes back here; its series are there all the same.
	b.WriteString("  - {id: mail, kind: email, host: '127.0.0.1:1', tls: none, from: s@example.com, bounces: {address: b@example.com, key: 0123456789abcdef}}\n" +
		"bounces: {channel: mail, listen: '127.0.0.1:0'}\n")
	b.WriteString("customers:\n")
	for id, name := range map[string]string{"enterprise-abc": "Enterprise ABC", "small-shop": "Small Shop"} {
		fmt.Fprintf(&b, "  - {id: %s, name: %s, lists: [{id: team, audience: internal, to: "+
			"[{good: [one, two]}, {down: [one]}, {refusing: [one]}, {locked: [room]}]}]}\n", id, name)
	}
	return b.String()
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
