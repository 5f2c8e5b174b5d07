package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collectpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes OpenTelemetry traces in.
type collector struct {
	mu     sync.Mutex
	traces map[string]map[string]int // how many spans of each name, by trace
}

func newCollector(t *testing.T) (*collector, string) {
	t.Helper()
	c := &collector{traces: map[string]map[string]int{}}
	srv := httptest.NewServer(c)
	t.Cleanup(srv.Close)
	return c, srv.URL
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in collectpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range in.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				id := hex.EncodeToString(s.GetTraceId())
				if c.traces[id] == nil {
					c.traces[id] = map[string]int{}
				}
				c.traces[id][s.GetName()]++
			}
		}
	}
}

// seen is every trace in words.
func (c *collector) seen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, names := range c.traces {
		all = append(all, fmt.Sprint(names))
	}
	return strings.Join(all, " ")
}

const tracedConfig = `ledger: sqlite://ledger.db
serve: {shutdown_timeout: 5s}
traces: {endpoint: "%s"}
channels: [{id: page, kind: page}]
customers:
  - id: abc
    name: Enterprise ABC
    zone: UTC
    lists:
      - {id: front, audience: public, to: [{page: [public]}]}
      - {id: theirs, audience: customer, to: [{page: [abc]}]}
`

const tracedUpdate = `### Enterprise ABC SEV1 outage - 7:20pm UTC update

#### Status: Identified

#### Incident Time: 2 hours

The login is slow. Next update at 9pm UTC.
`

const oneTrace = "map[accept:1 attempt:2 claim:1 plan:1 update:1]"

func TestSendIsTraced(t *testing.T) {
	c, url := newCollector(t)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": fmt.Sprintf(tracedConfig, url), "update.md": tracedUpdate})
	env := []string{"HOME=" + dir, "SITREP_CONFIG=" + dir + "/sitrep.yaml"}
	if code, out, errOut := cli(t, env, "preview", dir+"/update.md"); code != exitOK || c.seen() != "" {
		t.Fatalf("preview: %d, traces %q\n%s%s", code, c.seen(), out, errOut)
	}
	if code, out, errOut := cli(t, env, "send", "--yes", dir+"/update.md"); code != exitOK || c.seen() != oneTrace {
		t.Fatalf("send: %d, traces %q, want %q\n%s%s", code, c.seen(), oneTrace, out, errOut)
	}
}

func TestServeIsTraced(t *testing.T) {
	c, url := newCollector(t)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": fmt.Sprintf(tracedConfig, url), "update.md": tracedUpdate})
	s := startServe(t, dir, nil)
	env := []string{"HOME=" + dir, "SITREP_SERVER=unix:" + dir + "/s.sock"}
	if code, out, errOut := cli(t, env, "send", "--yes", dir+"/update.md"); code != exitOK {
		t.Fatalf("send: %d\n%s%s", code, out, errOut)
	}
	if code := s.stop(); code != exitOK || c.seen() != oneTrace {
		t.Fatalf("serve: %d, traces %q, want %q\n%s", code, c.seen(), oneTrace, s.log)
	}
}

// Where traces go is nothing that a delivery waits for.
func TestTracesNowhere(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": fmt.Sprintf(tracedConfig, srv.URL), "update.md": tracedUpdate})
	env := []string{"HOME=" + dir, "SITREP_CONFIG=" + dir + "/sitrep.yaml"}
	code, out, errOut := cli(t, env, "send", "--yes", "--verbose", dir+"/update.md")
	if code != exitOK || !strings.Contains(errOut, "the collector of traces did not take spans") {
		t.Fatalf("send: %d\n%s%s", code, out, errOut)
	}
}

func TestTracesMistake(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"sitrep.yaml": strings.Replace(fmt.Sprintf(tracedConfig, "https://localhost"), "traces: {", "traces: {ca_file: update.md, ", 1), "update.md": tracedUpdate,
	})
	env := []string{"HOME=" + dir, "SITREP_CONFIG=" + dir + "/sitrep.yaml"}
	if code, _, errOut := cli(t, env, "send", "--yes", dir+"/update.md"); code != exitConfig || !strings.Contains(errOut, "holds no certificate") {
		t.Fatalf("send: %d\n%s", code, errOut)
	}
}
