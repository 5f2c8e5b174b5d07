package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRule8SecretsStayInside sends through a chat server that repeats the credential
// in everything it answers, and looks for it in all that anybody could read
// afterwards: output, log, report, metrics, and every file, the ledger's included.
func TestRule8SecretsStayInside(t *testing.T) {
	const token = "zq7-odd-Token.9f31c"
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"id":"api.context.session_expired.app_error","message":"refused %s","status_code":401}`, r.Header.Get("Authorization"))
	}))
	defer chat.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "sitrep.yaml")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("token", token)
	write("sitrep.yaml", fmt.Sprintf(`ledger: sqlite://ledger.db
channels:
  - {id: chat, kind: mattermost, url: %q, token_file: token, team: ops}
customers:
  - {id: abc, name: Enterprise ABC, lists: [{id: room, audience: internal, to: [{chat: [sev1-abc]}]}]}
`, chat.URL))
	write("update.md", "### Enterprise ABC SEV1 outage - 7:20pm UTC update\n\n#### Status: Identified\n\n#### Incident Time: 1h\n\nIt is known.\n")

	var said bytes.Buffer
	for _, args := range [][]string{
		{"send", filepath.Join(dir, "update.md"), "--timeout", "2s", "--verbose", "--metrics-file", filepath.Join(dir, "m.prom")},
		{"report", "--json"},
		{"report", "abc-20261122-1", "--all"},
		{"send", "--resume", "--timeout", "1s", "-v"},
		{"check", "--json"},
	} {
		run(t.Context(), append(args, "--config", config), []string{"HOME=" + dir}, strings.NewReader(""), &said, &said)
	}
	if !strings.Contains(said.String(), "refused") {
		t.Fatalf("the chat server was not asked, so this proves nothing:\n%s", said.String())
	}
	if strings.Contains(said.String(), token) {
		t.Errorf("the token shows in what was said:\n%s", said.String())
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "token" {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(token)) {
			t.Errorf("the token is in %s", d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
