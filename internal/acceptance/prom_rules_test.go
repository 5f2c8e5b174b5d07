package acceptance_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// promDir is where what Prometheus reads lies.
var promDir = filepath.Join(root, "deploy", "prometheus")

// ruleCases are the files with the rules' test cases.
var ruleCases = []string{"rules_test.yml", "rules_long_test.yml"}

// rule is a recording rule or an alert.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

// name is the name of the series or of the alert.
func (r rule) name() string { return r.Record + r.Alert }

func rules(t *testing.T) []rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	b, err := os.ReadFile(filepath.Join(promDir, "rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatalf("rules.yml: %v", err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("rules.yml holds no rule")
	}
	return all
}

// The rules and the example that we ship are what Prometheus takes, and the rules do in
// every case what they say.
func TestPromRules(t *testing.T) {
	t.Parallel()
	promtool := need(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "config", "--lint-fatal", "prometheus.yml"},
		{"check", "rules", "--lint-fatal", "rules.yml"},
		append([]string{"test", "rules"}, ruleCases...),
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = promDir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// No rule is without a case; an alert has one in which it fires and one in which it
// does not.
func TestPromRulesHaveCases(t *testing.T) {
	type cases struct {
		Tests []struct {
			Exprs []struct {
				Expr    string
				Samples []any `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
			Alerts []struct {
				Name string `yaml:"alertname"`
				Want []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	fires, quiet, recorded := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range ruleCases {
		b, err := os.ReadFile(filepath.Join(promDir, name))
		if err != nil {
			t.Fatal(err)
		}
		var c cases
		if err := yaml.Unmarshal(b, &c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, test := range c.Tests {
			for _, e := range test.Exprs {
				series, _, _ := strings.Cut(e.Expr, "{")
				recorded[series] = recorded[series] || len(e.Samples) > 0
			}
			for _, a := range test.Alerts {
				fires[a.Name] = fires[a.Name] || len(a.Want) > 0
				quiet[a.Name] = quiet[a.Name] || len(a.Want) == 0
			}
		}
	}
	for _, r := range rules(t) {
		if r.Record != "" && !recorded[r.Record] {
			t.Errorf("%s: no case checks what is recorded", r.Record)
		}
		if r.Alert != "" && (!fires[r.Alert] || !quiet[r.Alert]) {
			t.Errorf("%s: fires in a case: %v, does not fire in a case: %v; want both", r.Alert, fires[r.Alert], quiet[r.Alert])
		}
	}
}

// Whoever is called at night reads what happened, to whom, and what to do.
func TestPromAlertsSayWhatToDo(t *testing.T) {
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q: use page or ticket", r.Alert, s)
		}
		summary, description := r.Annotations["summary"], r.Annotations["description"]
		if summary == "" || len(summary) > 80 || len(description) < 80 || !strings.HasSuffix(strings.TrimSpace(description), ".") {
			t.Errorf("%s: summary %q, description %q", r.Alert, summary, description)
		}
		if strings.Contains(r.Expr, "by (customer, channel)") || strings.Contains(r.Expr, "customer_channel") {
			for _, label := range []string{"$labels.customer", "$labels.channel"} {
				if !strings.Contains(summary+description, label) {
					t.Errorf("%s does not say %s", r.Alert, label)
				}
			}
		}
	}
}

// Every series that a rule or a panel reads is one that the program has or a rule
// records: a name that was mistyped would be silent for ever.
func TestPromSeriesExist(t *testing.T) {
	known := map[string]bool{"ALERTS": true}
	for _, r := range rules(t) {
		known[r.Record] = true
	}
	for _, name := range seriesOf(t, newSource(t).address) {
		known[name] = true
	}
	check := func(where, expr string) {
		for _, name := range seriesIn(expr) {
			if !known[name] {
				t.Errorf("%s reads %s, which there is not", where, name)
			}
		}
	}
	for _, r := range rules(t) {
		check(r.name(), r.Expr)
	}
	for _, q := range dashboard(t).queries() {
		check(q.where, q.expr)
	}
}

// What the daemon would serve is to promtool's satisfaction too, with the process' own
// metrics and all label sets in use.
func TestPromtoolServed(t *testing.T) {
	t.Parallel()
	promtool := need(t, "promtool", "prometheus")
	s := newSource(t)
	s.load(t)
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(scrape(t, s.address, "text/plain"))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}
