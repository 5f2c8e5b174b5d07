package acceptance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// board is deploy/grafana/sitrep.json, as far as it is asked here.
type board struct {
	UID, Title string
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []struct{ Expr string }
}

func dashboard(t *testing.T) board {
	t.Helper()
	var d board
	b, err := os.ReadFile(filepath.Join(root, "deploy", "grafana", "sitrep.json"))
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) == 0 {
		t.Fatal("the dashboard has no panels")
	}
	return d
}

// query is one that a panel or a variable asks.
type query struct{ where, expr string }

var labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

func (d board) queries() []query {
	var all []query
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			all = append(all, query{fmt.Sprintf("panel %q, query %d", p.Title, i+1), target.Expr})
		}
	}
	for _, v := range d.Templating.List {
		if m := labelValues.FindStringSubmatch(v.Definition); m != nil {
			all = append(all, query{"variable " + v.Name, fmt.Sprintf("count by (%s) (%s)", m[2], m[1])})
		}
	}
	return all
}

// A dashboard that can be imported as it is: panels do not overlap, each says what it
// shows, and queries use no variable that there is not.
func TestPromDashboardShape(t *testing.T) {
	d := dashboard(t)
	ids, cells, vars := map[int]bool{}, map[[2]int]string{}, []string{"__rate_interval"}
	for _, v := range d.Templating.List {
		vars = append(vars, v.Name)
		if v.Type == "query" && !labelValues.MatchString(v.Definition) {
			t.Errorf("variable %s: %q cannot be tried", v.Name, v.Definition)
		}
	}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || (p.Type != "row" && (p.Description == "" || len(p.Targets) == 0)) {
			t.Errorf("panel %d %q: the id is there twice, or title, description or query is missing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("panel %q lies on %q or beyond the edge, at column %d", p.Title, other, x)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, q := range d.queries() {
		for _, m := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(q.expr, -1) {
			if !slices.Contains(vars, m[1]) {
				t.Errorf("%s uses the variable %s, which there is not", q.where, m[1])
			}
		}
	}
}

// After a load such as any incident brings, no panel is without data: each query is put
// to a real Prometheus that scrapes real metrics with the rules that we ship.
func TestPromDashboardQueries(t *testing.T) {
	t.Parallel()
	prometheus := need(t, "prometheus", "prometheus")
	s := newSource(t)
	p := startPrometheus(t, prometheus, s.address)
	p.await(t, []query{{"the first scrape", "sitrep_deliveries_total == 0"}, {"the second", "count_over_time(sitrep_build_info[1m]) > 1"}})
	s.load(t)
	p.await(t, dashboard(t).queries())
	p.await(t, []query{{"the alert for the locked channel", `ALERTS{alertname="SitrepChannelDown",channel="locked",alertstate="pending"}`}})
}

// prom is a running Prometheus.
type prom struct{ url string }

// startPrometheus starts one that scrapes address and evaluates the rules we ship, both
// several times a second rather than a minute.
func startPrometheus(t *testing.T, program, address string) prom {
	t.Helper()
	h := home{t.TempDir()}
	b, err := os.ReadFile(filepath.Join(promDir, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "rules.yml", strings.ReplaceAll(string(b), "interval: 30s", "interval: 500ms"))
	h.write(t, "prometheus.yml", fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n"+
		"rule_files: [rules.yml]\nscrape_configs:\n  - {job_name: sitrep, static_configs: [{targets: [%q]}]}\n", address))
	port := freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		"--web.listen-address=127.0.0.1:"+port, "--log.level=warn", "--enable-feature=exemplar-storage")
	cmd.Dir = h.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	log, err := os.Create(h.path("log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was told to stop
		_ = log.Close()
		if said, err := os.ReadFile(h.path("log")); t.Failed() && err == nil {
			t.Logf("Prometheus said:\n%s", said)
		}
	})
	return prom{"http://127.0.0.1:" + port}
}

// await waits until every query has an answer with a number in it.
func (p prom) await(t *testing.T, queries []query) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		var without []string
		for _, q := range queries {
			if err := p.ask(t.Context(), q.expr); err != nil {
				without = append(without, fmt.Sprintf("%s: %v\n\t%s", q.where, err, q.expr))
			}
		}
		if len(without) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("without data:\n%s", strings.Join(without, "\n"))
		}
		time.Sleep(200 * time.Millisecond) // a real server has to scrape
	}
}

// ask puts a query as Grafana would with everything chosen, and wants a number.
func (p prom) ask(ctx context.Context, expr string) error {
	expr = strings.NewReplacer("$customer", ".*", "$channel", ".*", "$__rate_interval", "1m").Replace(expr)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(expr), http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var said struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value []any }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&said); err != nil {
		return err
	}
	if said.Status != "success" {
		return fmt.Errorf("%s: %s", said.Status, said.Error)
	}
	for _, r := range said.Data.Result {
		if len(r.Value) == 2 {
			if v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64); err == nil && !math.IsNaN(v) {
				return nil
			}
		}
	}
	return fmt.Errorf("%d series and no number", len(said.Data.Result))
}
