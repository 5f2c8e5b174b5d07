package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Whoever names a customer that their token is not for hears what to do about it, and
// nothing of whether there is one.
func TestAnotherCustomerThanTheTokens(t *testing.T) {
	dir := serveDir(t)
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	_, token, _ := cli(t, own, "token", "new", "--role", "author", "--customer", "abc")
	writeFiles(t, dir, map[string]string{"token": token, "other.md": strings.Replace(serveUpdate, "Enterprise ABC", "Initech", 1)})
	far := []string{"HOME=" + t.TempDir(), "SITREP_SERVER=" + s.url, "SITREP_TOKEN_FILE=" + filepath.Join(dir, "token")}
	for _, words := range [][]string{{"who", "globex"}, {"new", "globex"}, {"send", filepath.Join(dir, "other.md")}, {"preview", filepath.Join(dir, "other.md")}} {
		code, _, errOut := cli(t, far, words...)
		if (code != exitUsage && code != exitRefused) || !strings.Contains(errOut, "or use a token for it") || strings.Contains(errOut, "configuration") {
			t.Errorf("%s: %d %s", words, code, errOut)
		}
	}
	local := []string{"HOME=" + t.TempDir(), "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")}
	if code, _, errOut := cli(t, local, "who", "initech"); code != exitUsage || strings.Contains(errOut, "token") || !strings.Contains(errOut, "abc, globex") {
		t.Errorf("by the socket: %d %s", code, errOut)
	}
}

// What is wrong with a token is said at once and in the words of the flags, also of what
// only the server can know.
func TestTokenThroughTheServer(t *testing.T) {
	dir := serveDir(t)
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	_, token, _ := cli(t, own, "token", "new", "--role", "admin", "--customer", "abc")
	writeFiles(t, dir, map[string]string{"token": token})
	far := []string{"HOME=" + t.TempDir(), "SITREP_SERVER=" + s.url, "SITREP_TOKEN_FILE=" + filepath.Join(dir, "token")}
	code, _, errOut := cli(t, far, "token", "new", strings.Repeat("long", 30), "--role", "boss", "--customer", "globex", "--expires", "x")
	for _, want := range []string{
		"NAME: it has 120 characters, and may have 100.", `--role: "boss" is no role`, `--expires: "x" is not a length of time`,
		`--customer: there is no customer with the id "globex". There are: abc`,
	} {
		if code != exitUsage || !strings.Contains(errOut, "\n  "+want) || strings.Contains(errOut, "body.") {
			t.Errorf("%d: it does not say %q: %s", code, want, errOut)
		}
	}
	if code, _, errOut := cli(t, far, "token", "new", "--role", "admin", "--customer", "*"); code != exitUsage || !strings.Contains(errOut, "--customer: your own token is not for all of these") {
		t.Errorf("more than the caller's own: %d %s", code, errOut)
	}
	if code, out, errOut := cli(t, far, "token", "new", "--role", "viewer", "--customer", "abc"); code != exitOK || !strings.HasPrefix(out, "sitrep_") {
		t.Errorf("%d %s", code, errOut)
	}
}
