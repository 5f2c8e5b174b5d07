package metrics_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/internal/metrics"
)

// reconfigured is used() after customer xyz and the channel chat have gone and
// customer new and the channel text have come.
func reconfigured() *metrics.Metrics {
	m := used()
	m.Settled("xyz", "mail", "SEV2", "delivered", "dlv9", time.Second)
	o := options()
	o.Customers, o.Channels = []string{"abc", "new"}, []string{"mail", "text"}
	m.Reload(o)
	return m
}

func TestReload(t *testing.T) {
	m := reconfigured()
	m.Settled("xyz", "chat", "SEV1", "failed", "dlv10", time.Minute) // a late one of what is gone
	text := exposition(t, m)
	for _, gone := range []string{`customer="xyz"`, `channel="chat"`} {
		if strings.Contains(text, gone) {
			t.Errorf("there are still series with %s", gone)
		}
	}
	for _, want := range []string{
		`sitrep_deliveries_total{channel="mail",customer="abc",outcome="delivered"} 2`, // goes on
		`sitrep_deliveries_total{channel="text",customer="new",outcome="failed"} 0`,    // is there from the start
		`sitrep_deliveries_total{channel="other",customer="other",outcome="failed"} 2`,
		`sitrep_deliveries_pending{channel="text",state="waiting"} 0`,
		`sitrep_channel_up{channel="text"} 1`,
		`sitrep_delivery_latency_seconds_count{channel="text",severity="SEV1"} 0`,
		`sitrep_config_last_reload_successful 0`, // Reloaded says so, not Reload
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s in:\n%s", want, text)
		}
	}
}

// A channel at rest is still at rest after a reload that does not concern it.
func TestReloadKeepsWhatIsDown(t *testing.T) {
	m := metrics.New(options())
	m.Up("mail", false)
	m.Reload(options())
	if text := exposition(t, m); !strings.Contains(text, "sitrep_channel_up{channel=\"mail\"} 0\n") {
		t.Error("the reload says that the channel works, and nobody has tried")
	}
}

func TestReloadOverflow(t *testing.T) {
	o := metrics.Options{Channels: []string{"mail"}, Outcomes: []string{"delivered"}}
	for i := range metrics.MaxCustomers + 1 {
		o.Customers = append(o.Customers, strings.Repeat("c", i+1))
	}
	m := metrics.New(o)
	o.Customers = o.Customers[:metrics.MaxCustomers]
	m.Reload(o)
	text := exposition(t, m)
	if strings.Contains(text, "_overflow\"") || !strings.Contains(text, "sitrep_customers_overflowed 0\n") {
		t.Error("nobody overflows any more, and the metrics say otherwise")
	}
}

// However counting and reloading interleave, nothing comes back that was removed.
func TestReloadTogether(t *testing.T) {
	m := metrics.New(options())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				m.Attempt("chat", "d", channels.Unavailable, time.Second)
				m.Settled("xyz", "chat", "SEV2", "delivered", "d", time.Second)
				m.Up("chat", false)
				m.Trouble("template", "chat")
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			if _, err := m.Gatherer().Gather(); err != nil {
				t.Error(err)
			}
		}
	})
	o := options()
	o.Customers, o.Channels = []string{"abc"}, []string{"mail"}
	for range 50 {
		m.Reload(options())
		m.Reload(o)
	}
	wg.Wait()
	if text := exposition(t, m); strings.Contains(text, `"xyz"`) || strings.Contains(text, `"chat"`) {
		t.Error("a removed series came back")
	}
}

// The daemon's metrics hold its clock as it is at the scrape.
func TestClock(t *testing.T) {
	o := options()
	o.Process = true
	srv := httptest.NewServer(metrics.New(o).Handler())
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK ||
		!strings.Contains(string(body), "\nsitrep_clock_timestamp_seconds 1.") {
		t.Errorf("%d %v: no clock in:\n%s", resp.StatusCode, err, body)
	}
	if strings.Contains(exposition(t, metrics.New(options())), "clock") {
		t.Error("a file that outlives the program has a clock that stands still")
	}
}
