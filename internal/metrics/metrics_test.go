package metrics_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"sitrep/channels"
	"sitrep/internal/metrics"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func options() metrics.Options {
	return metrics.Options{
		Customers: []string{"abc", "xyz"},
		Channels:  []string{"chat", "mail"},
		Outcomes:  []string{"delivered", "failed"},
		Version:   "1.2.3",
		Pending: func(context.Context) ([]metrics.Pending, error) {
			return []metrics.Pending{
				{Channel: "mail", State: "waiting", Count: 3, Oldest: time.Unix(2000, 0)},
				{Channel: "mail", State: "retrying", Count: 2, Oldest: time.Unix(1000, 500_000_000)},
				{Channel: "fax", State: "waiting", Count: 1, Oldest: time.Unix(3000, 0)},
			}, nil
		},
		Promises: func(context.Context) ([]metrics.Promise, error) {
			return []metrics.Promise{
				{Customer: "abc", Due: time.Unix(5000, 0)}, {Customer: "abc", Due: time.Unix(4000, 0)}, {Customer: "xyz"},
			}, nil
		},
	}
}

// used is metrics after one of everything.
func used() *metrics.Metrics {
	m := metrics.New(options())
	m.Attempt("mail", "dlv1", "", 30*time.Millisecond)
	for _, f := range channels.Faults() {
		m.Attempt("mail", "dlv2", f, time.Second)
	}
	m.Attempt("fax", "dlv3", "no such fault", time.Minute)
	m.Settled("abc", "mail", "SEV1", "delivered", "dlv1", 40*time.Millisecond)
	m.Settled("abc", "mail", "SEV9\n", "delivered", "dlv2", -time.Second)
	m.Settled("nobody", "fax", "", "failed", "dlv3", time.Hour)
	m.Up("chat", false)
	m.Trouble("template", "mail")
	m.Trouble("ledger", "")
	m.Reloaded(false)
	return m
}

func TestLint(t *testing.T) {
	families, err := used().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// What the daemon adds does not collide with ours.
func TestProcessMetrics(t *testing.T) {
	o := options()
	o.Process = true
	if text := exposition(t, metrics.New(o)); !strings.Contains(text, "\ngo_goroutines ") {
		t.Error("no Go runtime metrics")
	}
}

func TestExposition(t *testing.T) {
	for name, m := range map[string]*metrics.Metrics{"fresh.prom": metrics.New(options()), "used.prom": used()} {
		golden(t, name, exposition(t, m))
	}
}

var (
	whenever  = regexp.MustCompile(`(?m)^(sitrep_last_delivery_success_timestamp_seconds\{.*\}) .*$`)
	goVersion = regexp.MustCompile(`goversion="[^"]*"`)
)

// exposition is what the textfile collector reads, without what changes.
func exposition(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sitrep.prom")
	if err := m.WriteTextfile(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := whenever.ReplaceAllString(string(got), "$1 NOW")
	return goVersion.ReplaceAllString(text, `goversion="GO"`)
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); got:\n%s", path, err, got)
	}
}

func TestTextfile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sitrep.prom")
	m := used()
	for range 2 { // writing again replaces it
		if err := m.WriteTextfile(path); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o044 != 0o044 {
		t.Errorf("mode %v (%v): the node exporter cannot read it", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("%d files in the directory (%v), want the one", len(left), err)
	}
	err = m.WriteTextfile(filepath.Join(dir, "missing", "sitrep.prom"))
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "missing")+" a directory you may write to") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

// Beyond the cap customers share a series, and a gauge says how many do.
func TestOverflow(t *testing.T) {
	o := metrics.Options{Channels: []string{"mail"}, Outcomes: []string{"delivered"}}
	for i := range metrics.MaxCustomers + 7 {
		o.Customers = append(o.Customers, fmt.Sprintf("c%d", i))
	}
	m := metrics.New(o)
	m.Settled(fmt.Sprintf("c%d", metrics.MaxCustomers+3), "mail", "", "delivered", "", 0)
	m.Settled("c0", "mail", "", "delivered", "", 0)
	for i := range 10_000 {
		m.Settled(fmt.Sprintf("never heard of %d", i), "mail", "", "delivered", "", 0)
	}
	text := exposition(t, m)
	for _, want := range []string{
		`sitrep_deliveries_total{channel="mail",customer="_overflow",outcome="delivered"} 1`,
		`sitrep_deliveries_total{channel="mail",customer="c0",outcome="delivered"} 1`,
		`sitrep_deliveries_total{channel="mail",customer="other",outcome="delivered"} 10000`,
		`sitrep_customers_overflowed 7`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if n := strings.Count(text, "\nsitrep_deliveries_total{"); n != metrics.MaxCustomers+2 {
		t.Errorf("%d series, want %d", n, metrics.MaxCustomers+2)
	}
}

// A ledger that does not answer leaves gauges out and is counted; the rest of the
// scrape is there.
func TestStateWithoutLedger(t *testing.T) {
	o := options()
	o.Pending = func(context.Context) ([]metrics.Pending, error) { return nil, errors.New("locked") }
	o.Promises = func(context.Context) ([]metrics.Promise, error) { return nil, errors.New("locked") }
	m := metrics.New(o)
	exposition(t, m)
	text := exposition(t, m)
	if strings.Contains(text, "pending") || strings.Contains(text, "next_update") {
		t.Error("there are numbers nobody knows")
	}
	if !strings.Contains(text, "sitrep_ledger_errors_total ") || strings.Contains(text, "sitrep_ledger_errors_total 0") {
		t.Error("the failure is not counted")
	}
}

func TestHandler(t *testing.T) {
	srv := httptest.NewServer(used().Handler())
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", resp.StatusCode, err)
	}
	exemplar := regexp.MustCompile(`sitrep_delivery_latency_seconds_bucket\{channel="mail",severity="SEV1",le="0.1"\} 1 # \{delivery="dlv1"\} 0.04`)
	if !exemplar.Match(body) {
		t.Errorf("no exemplar in:\n%s", body)
	}
}

func TestNativeHistograms(t *testing.T) {
	families, err := used().Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range families {
		for _, x := range f.GetMetric() {
			if h := x.GetHistogram(); h != nil && h.Schema != nil && len(h.GetBucket()) > 0 {
				seen++
			}
		}
	}
	if seen == 0 {
		t.Error("no histogram is both native and classic")
	}
}

func TestTogether(t *testing.T) {
	m := metrics.New(options())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				m.Attempt("mail", "d", channels.Unavailable, time.Second)
				m.Settled("abc", "mail", "SEV2", "delivered", "d", time.Second)
				m.Up("mail", i%2 == 0)
			}
			if _, err := m.Gatherer().Gather(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if text := exposition(t, m); !strings.Contains(text, `sitrep_deliveries_total{channel="mail",customer="abc",outcome="delivered"} 1600`) {
		t.Error("a delivery was lost or counted twice")
	}
}
