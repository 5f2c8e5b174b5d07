package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/ledger"
)

// served is a `sitrep serve` in this process.
type served struct {
	t    *testing.T
	dir  string
	log  *syncBuffer
	stop func() int // and the exit code
	url  string     // of its first host:port
	http *http.Client
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var tcpForm = regexp.MustCompile(`listening address=(\S+) network=tcp tls=(\w+)`)

// startServe serves the configuration in dir, on its s.sock and a port.
func startServe(t *testing.T, dir string, now func() time.Time, env ...string) *served {
	t.Helper()
	s := &served{t: t, dir: dir, log: &syncBuffer{}, http: http.DefaultClient}
	a := newApp(append([]string{"HOME=" + dir}, env...), strings.NewReader(""), io.Discard, s.log)
	a.lease = 2 * time.Second
	if now != nil {
		a.now = now
	}
	root := a.rootCommand()
	root.SetArgs([]string{"serve", "--config", filepath.Join(dir, "sitrep.yaml"), "--listen", "127.0.0.1:0,unix:" + filepath.Join(dir, "s.sock")})
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- a.end(root.ExecuteContext(ctx)) }()
	var once sync.Once
	var exit int
	s.stop = func() int {
		once.Do(func() {
			cancel()
			exit = <-code
		})
		return exit
	}
	t.Cleanup(func() { s.stop() })
	s.until("it serves", func() bool { return strings.Contains(s.log.String(), "msg=serving") || len(code) > 0 })
	m := tcpForm.FindStringSubmatch(s.log.String())
	if m == nil {
		t.Fatalf("it does not serve:\n%s", s.log)
	}
	s.url = "http://" + m[1]
	if m[2] == "true" {
		s.url = "https://" + m[1]
	}
	return s
}

// until polls, for the sake of real sockets and files.
func (s *served) until(what string, f func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	s.t.Fatalf("not so: %s\n%s", what, s.log)
}

func (s *served) get(path string) (int, string) {
	s.t.Helper()
	resp, err := s.http.Get(s.url + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// cli runs a command and returns its exit code and what it printed.
func cli(t *testing.T, env []string, words ...string) (int, string, string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code := run(t.Context(), words, env, strings.NewReader(""), &out, &errOut)
	return code, out.String(), errOut.String()
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		// As editors do: whole or not at all.
		part := filepath.Join(dir, ".part")
		if err := errors.Join(os.WriteFile(part, []byte(content), 0o600), os.Rename(part, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
}

const serveConfig = `ledger: sqlite://ledger.db
serve: {shutdown_timeout: 5s}
channels:
  - {id: page, kind: page}
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: readers, audience: customer, to: [{page: [abc]}]}]
  - id: globex
    name: Globex
    lists: [{id: readers, audience: customer, to: [{page: [globex]}]}]
`

const serveUpdate = "### Enterprise ABC SEV1 outage - 1:20pm UTC update\n\n#### Status: Identified\n\n#### Incident Time: 30 minutes\n\nSign-in fails. Next update at 3pm UTC.\n"

func serveDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sitrep.yaml": serveConfig, "update.md": serveUpdate})
	return dir
}

// From a token to the report, over TCP.
func TestServe(t *testing.T) {
	dir := serveDir(t)
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	code, token, made := cli(t, own, "token", "new", "maria", "--role", "author", "--customer", "abc")
	if code != 0 || !strings.HasPrefix(token, "sitrep_") || strings.Contains(made, strings.TrimSpace(token)) {
		t.Fatalf("%d %s %s", code, token, made)
	}
	writeFiles(t, dir, map[string]string{"token": token})
	far := []string{"HOME=" + t.TempDir(), "SITREP_SERVER=" + s.url, "SITREP_TOKEN_FILE=" + filepath.Join(dir, "token")}
	code, out, errOut := cli(t, far, "send", filepath.Join(dir, "update.md"))
	if code != 0 || !strings.Contains(out, "✓ all 1 delivered") {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	if code, out, _ := cli(t, far, "who", "globex"); code != exitUsage {
		t.Errorf("a customer outside the token's scope: %d %s", code, out)
	}
	if code, _, errOut := cli(t, far, "token", "list"); code != exitConfig || !strings.Contains(errOut, "does not permit") {
		t.Errorf("an author lists tokens: %d %s", code, errOut)
	}
	if code, _, errOut := cli(t, []string{"HOME=" + dir, "SITREP_SERVER=" + s.url}, "report"); code != exitConfig || !strings.Contains(errOut, "does not accept the token") {
		t.Errorf("without a token: %d %s", code, errOut)
	}
	if status, body := s.get("/metrics"); status != 200 || !strings.Contains(body, `sitrep_deliveries_total{channel="page",customer="abc",outcome="delivered"} 1`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %d %s", status, body)
	}
	if status, body := s.get("/readyz"); status != 200 || !strings.Contains(body, `"ledger","ok":true`) {
		t.Errorf("ready: %d %s", status, body)
	}
	if exit := s.stop(); exit != 0 {
		t.Errorf("it ended with %d:\n%s", exit, s.log)
	}
	log := s.log.String()
	if n := strings.Count(log, `msg="update accepted"`); n != 1 {
		t.Errorf("%d lines for one update:\n%s", n, log)
	}
	if n := strings.Count(log, `msg="delivery settled"`); n != 1 {
		t.Errorf("%d lines for one delivery:\n%s", n, log)
	}
	for _, secret := range []string{strings.TrimSpace(token), "Sign-in fails"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "s.sock")); err == nil {
		t.Error("the socket's file is left behind")
	}
}

// Through a server the commands say the same, to the letter, as on the ledger itself.
func TestTranscriptsThroughTheServer(t *testing.T) {
	for _, name := range []string{"main", "refused", "suppress"} {
		path, err := filepath.Abs("testdata/cli/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			tr := readTranscript(t, path)
			dir := t.TempDir()
			writeFiles(t, dir, tr.files)
			s := startServe(t, dir, november)
			tr.server = "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")
			if got := tr.play(t); got != tr.answers {
				t.Errorf("through the server it says:\n%s\n%s", differing(tr.answers, got), s.log)
			}
		})
	}
}

// differing are the lines that are not the same.
func differing(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	var out strings.Builder
	for i := range max(len(x), len(y)) {
		var l, r string
		if i < len(x) {
			l = x[i]
		}
		if i < len(y) {
			r = y[i]
		}
		if l != r {
			out.WriteString("- " + l + "\n+ " + r + "\n")
		}
	}
	return out.String()
}

// What an earlier process left is finished at the start.
func TestServeFinishesWhatWasLeft(t *testing.T) {
	dir := serveDir(t)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	code, said, errOut := cli(t, own, "send", filepath.Join(dir, "update.md"), "--timeout", "1ns")
	id := regexp.MustCompile(`abc-\d{8}-1`).FindString(said + errOut) // of the day of the update, which may be yesterday
	if code != exitPending && code != exitOK || id == "" {
		t.Fatalf("%d %s %s", code, said, errOut)
	}
	s := startServe(t, dir, nil)
	s.until("everything is delivered", func() bool {
		code, out, _ := cli(t, own, "report", id)
		return code == 0 && strings.Contains(out, "✓ all 1 delivered")
	})
}

func TestReloadOfServe(t *testing.T) {
	dir := serveDir(t)
	s := startServe(t, dir, nil)
	writeFiles(t, dir, map[string]string{"sitrep.yaml": strings.Replace(serveConfig, "channels:", "chanels:", 1)})
	s.until("the mistake is logged", func() bool { return strings.Contains(s.log.String(), "`chanels` is not a setting here") })
	if strings.Contains(s.log.String(), "nothing was sent") {
		t.Errorf("what is running is said to have sent nothing:\n%s", s.log)
	}
	if _, body := s.get("/metrics"); !strings.Contains(body, "sitrep_config_last_reload_successful 0\n") {
		t.Error("the metric does not say that the reload was refused")
	}
	if status, body := s.get("/readyz"); status != 200 || !strings.Contains(body, "was refused") || strings.Contains(body, "chanels") {
		t.Errorf("ready: %d %s", status, body)
	}
	code, out, errOut := cli(t, []string{"HOME=" + dir, "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")}, "send", filepath.Join(dir, "update.md"))
	if code != 0 {
		t.Errorf("the configuration before is not in force: %d %s %s", code, out, errOut)
	}
	writeFiles(t, dir, map[string]string{"sitrep.yaml": strings.ReplaceAll(serveConfig, "globex", "initech")})
	s.until("the new configuration is in force", func() bool { return strings.Contains(s.log.String(), "the configuration is reloaded") })
	if !strings.Contains(s.log.String(), "channels=1 kept=1 customers=2") {
		t.Errorf("the channel did not stay:\n%s", s.log)
	}
	_, body := s.get("/metrics")
	if !strings.Contains(body, "sitrep_config_last_reload_successful 1\n") || strings.Contains(body, `"globex"`) || !strings.Contains(body, `customer="initech"`) {
		t.Error("the metrics are not the new configuration's")
	}
	if status, body := s.get("/readyz"); status != 200 || strings.Contains(body, "refused") {
		t.Errorf("ready: %d %s", status, body)
	}
}

// newCertificate makes a certificate for 127.0.0.1 and returns its PEM.
func newCertificate(t *testing.T, dir string, serial int64) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	writeFiles(t, dir, map[string]string{
		"cert.pem": string(cert), "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	})
	return cert
}

// serial is that of the certificate somebody new is shown.
func (s *served) serial() int64 {
	c, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is looked at, not trusted
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func TestServeTLS(t *testing.T) {
	dir := serveDir(t)
	cert := newCertificate(t, dir, 1)
	writeFiles(t, dir, map[string]string{
		"ca.pem": string(cert), "sitrep.yaml": strings.Replace(serveConfig, "5s}", "5s, tls_cert_file: cert.pem, tls_key_file: key.pem}", 1),
	})
	s := startServe(t, dir, nil)
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + filepath.Join(dir, "sitrep.yaml")}
	_, token, _ := cli(t, own, "token", "new", "--role", "viewer", "--customer", "*")
	writeFiles(t, dir, map[string]string{"token": token})
	far := []string{"HOME=" + t.TempDir(), "SITREP_SERVER=" + s.url, "SITREP_TOKEN_FILE=" + filepath.Join(dir, "token")}
	if code, _, errOut := cli(t, append(far, "SITREP_SERVER_CA_FILE="+filepath.Join(dir, "ca.pem")), "report"); code != 0 {
		t.Errorf("%d %s", code, errOut)
	}
	writeFiles(t, dir, map[string]string{"key.pem": "not a key"})
	s.until("the broken pair is noticed", func() bool {
		s.serial()
		return strings.Contains(s.log.String(), "the new TLS certificate cannot be used")
	})
	if got := s.serial(); got != 1 {
		t.Errorf("it shows certificate %d", got)
	}
	newCertificate(t, dir, 2)
	s.until("the new certificate is shown", func() bool { return s.serial() == 2 })
}

// A stop lets an attempt under way end, takes nothing new, and leaves the rest.
func TestServeStopsGracefully(t *testing.T) {
	in, relay := startInbox(t)
	config, update := killHome(t, relay, 300)
	dir := filepath.Dir(config)
	s := startServe(t, dir, nil)
	begun := in.after(20)
	in.setPause(0, 300*time.Millisecond) // the stop comes in the middle of it, however long that takes to say
	socket := "SITREP_SERVER=unix:" + filepath.Join(dir, "s.sock")
	if code, out, errOut := cli(t, []string{"HOME=" + dir, socket}, "send", update, "--timeout", "1ms"); code != exitPending {
		t.Fatalf("%d %s %s", code, out, errOut)
	}
	<-begun
	if exit := s.stop(); exit != 0 {
		t.Errorf("it ended with %d:\n%s", exit, s.log)
	}
	own := []string{"HOME=" + dir, "SITREP_CONFIG=" + config}
	_, js, _ := cli(t, own, "report", "enterprise-abc-"+time.Now().UTC().Format("20060102")+"-1", "--all", "--json")
	var said struct{ Updates []account }
	if err := json.Unmarshal([]byte(js), &said); err != nil || len(said.Updates) != 1 {
		t.Fatalf("%v %s", err, js)
	}
	acc := said.Updates[0]
	if acc.Pending == 0 || acc.Delivered+acc.Pending != 300 {
		t.Errorf("%d delivered and %d pending of 300", acc.Delivered, acc.Pending)
	}
	for _, r := range acc.Recipients {
		if want := 1; r.Outcome == string(ledger.Delivered) && in.copies(r.Address) != want {
			t.Errorf("%s has %d copies", r.Address, in.copies(r.Address))
		}
		if r.Outcome == pendingWord && (in.copies(r.Address) != 0 || r.Attempts != 0) {
			t.Errorf("%s was begun and is pending: %+v", r.Address, r)
		}
	}
	in.setPause(0, 0)
	startServe(t, dir, nil).until("the next one finishes it", func() bool { _, all, _ := cli(t, own, "report"); return all != "" && in.total() == 300 })
}
