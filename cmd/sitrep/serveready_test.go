package main

import (
	"net/http"
	"strings"
	"testing"

	"sitrep/internal/pgtest"
)

// With its database away a server is alive and not ready, and says why in plain words;
// it is ready again by itself.
func TestServeIsReadyAgain(t *testing.T) {
	db := pgtest.Own(t)
	dir := serveDir(t)
	writeFiles(t, dir, map[string]string{"sitrep.yaml": strings.Replace(serveConfig, "sqlite://ledger.db", db.Database(t), 1)})
	s := startServe(t, dir, nil)
	if status, body := s.get("/readyz"); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if err := db.Stop(); err != nil {
		t.Fatal(err)
	}
	status, body := s.get("/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "the ledger does not answer") || strings.Contains(body, "postgres") {
		t.Errorf("without a database: %d %s", status, body)
	}
	if status, body := s.get("/healthz"); status != http.StatusOK {
		t.Errorf("it is not alive: %d %s", status, body)
	}
	if err := db.Start(); err != nil {
		t.Fatal(err)
	}
	s.until("it is ready again", func() bool {
		status, _ := s.get("/readyz")
		return status == http.StatusOK
	})
	if code, out, errOut := cli(t, []string{"HOME=" + dir, "SITREP_SERVER=unix:" + dir + "/s.sock"}, "send", dir+"/update.md"); code != exitOK {
		t.Errorf("sending afterwards: %d %s %s", code, out, errOut)
	}
}
