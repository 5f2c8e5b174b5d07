package acceptance_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What send writes for the node exporter is what Prometheus reads, to promtool's
// satisfaction, and counts what happened.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool := need(t, "promtool", "prometheus")
	h := pagesHome(t)
	h.send(t, 0, "identified.md", "--metrics-file", "sitrep.prom")
	f, err := os.Open(h.path("sitrep.prom"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = f
	if out, err := cmd.CombinedOutput(); err != nil || len(out) != 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	b, err := os.ReadFile(h.path("sitrep.prom"))
	if err != nil {
		t.Fatal(err)
	}
	const line = `sitrep_deliveries_total{channel="page",customer="enterprise-abc",outcome="delivered"} 2`
	if !strings.Contains(string(b), "\n"+line+"\n") {
		t.Errorf("the metrics lack the line\n%s\n%s", line, b)
	}
}
