package email_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

// door is a real SMTP server that lets in who proves to be sitrep, in one way.
type door struct {
	backend
	name   string
	server func(*doorTalk) sasl.Server
}

type doorTalk struct {
	conversation
	d *door
}

func (d *door) NewSession(*smtp.Conn) (smtp.Session, error) {
	return &doorTalk{conversation: conversation{b: &d.backend}, d: d}, nil
}
func (c *doorTalk) AuthMechanisms() []string         { return []string{c.d.name} }
func (c *doorTalk) Auth(string) (sasl.Server, error) { return c.d.server(c), nil }

func (d *door) start(t *testing.T) (addr, ca string) {
	t.Helper()
	cfg, ca := authority(t)
	srv := smtp.NewServer(d)
	srv.Domain, srv.TLSConfig = "relay.test", cfg
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = srv.Serve(ln); close(done) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return ln.Addr().String(), ca
}

// scramDoor is the server's side of SCRAM-SHA-256.
type scramDoor struct {
	c    *doorTalk
	talk *scram.ServerConversation
}

func (s *scramDoor) Next(response []byte) ([]byte, bool, error) {
	if s.talk.Done() {
		s.c.logged = s.talk.Valid()
		return nil, true, nil
	}
	challenge, err := s.talk.Step(string(response))
	if err != nil {
		return nil, true, &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no"}
	}
	return []byte(challenge), false, nil
}

func scramServer(t *testing.T, stored string) func(*doorTalk) sasl.Server {
	t.Helper()
	client, err := scram.SHA256.NewClient("sitrep", stored, "")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "some salt", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return keys, nil })
	if err != nil {
		t.Fatal(err)
	}
	return func(c *doorTalk) sasl.Server { return &scramDoor{c, server.NewConversation()} }
}

func TestSCRAM(t *testing.T) {
	for stored, want := range map[string]channels.Fault{password: "", "another": channels.Unauthorized} {
		for _, auth := range []string{"", "scram-sha-256"} {
			addr, ca := (&door{name: "SCRAM-SHA-256", server: scramServer(t, stored)}).start(t)
			c := open(t, nil, email.Config{Host: addr, TLS: "starttls", CAFile: ca, Username: "sitrep", Password: secret.New(password), Auth: auth})
			_, err := c.Send(t.Context(), envelope("k1"))
			if f, _ := channels.FaultOf(err); f != want {
				t.Errorf("%q: %q, want %q: %v", auth, f, want, err)
			}
			noCredential(t, err)
		}
	}
}

// TestSCRAMImpostor: a relay that lets us in without proving that it knows the password
// gets no mail.
func TestSCRAMImpostor(t *testing.T) {
	cfg, ca := authority(t)
	r := (&relay{tls: cfg, ext: []string{"AUTH SCRAM-SHA-256"}, answer: script("AUTH", "235 2.7.0 come in")}).start(t)
	c := open(t, r, email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", Password: secret.New(password)})
	_, err := c.Send(t.Context(), envelope("k1"))
	if f, _ := channels.FaultOf(err); f != channels.Unauthorized || !strings.Contains(err.Error(), "did not prove") || r.seen("MAIL") > 0 {
		t.Errorf("%s: %v", f, err)
	}
}

func TestOAuthBearer(t *testing.T) {
	addr, ca := (&door{name: "OAUTHBEARER", server: func(c *doorTalk) sasl.Server {
		return sasl.NewOAuthBearerServer(func(o sasl.OAuthBearerOptions) *sasl.OAuthBearerError {
			if o.Username != "sitrep" || o.Token != "good" || o.Host != "127.0.0.1" || o.Port == 0 {
				return &sasl.OAuthBearerError{Status: "invalid_token"}
			}
			c.logged = true
			return nil
		})
	}}).start(t)
	if err := send(t, open(t, nil, email.Config{Host: addr, TLS: "starttls", CAFile: ca, Username: "sitrep", Token: secret.New("good")}), 1); err != nil {
		t.Error(err)
	}

	// A failure comes as a challenge that has to be answered before the refusal comes.
	cfg, ca := authority(t)
	r := (&relay{tls: cfg, ext: []string{"AUTH OAUTHBEARER"}, answer: func(c call) string {
		switch c.verb {
		case "AUTH":
			return "334 " + base64.StdEncoding.EncodeToString([]byte(`{"status":"invalid_token"}`))
		case "AUTH+":
			return "535 5.7.8 no"
		}
		return ""
	}}).start(t)
	c := open(t, r, email.Config{TLS: "starttls", CAFile: ca, Username: "a=b,c", Token: secret.New(password), Auth: "OAUTHBEARER"})
	_, err := c.Send(t.Context(), envelope("k1"))
	if f, _ := channels.FaultOf(err); f != channels.Unauthorized || !strings.Contains(err.Error(), "535 5.7.8") {
		t.Errorf("%s: %v", f, err)
	}
	noCredential(t, err)
	host, port, _ := strings.Cut(r.addr(), ":")
	want := "n,a=a=3Db=2Cc,\x01host=" + host + "\x01port=" + port + "\x01auth=Bearer " + password + "\x01\x01"
	if got := r.said("AUTH"); len(got) != 1 || got[0] != "AUTH OAUTHBEARER "+base64.StdEncoding.EncodeToString([]byte(want)) {
		t.Errorf("said %q", got)
	}
	if got := r.said("AUTH+"); len(got) != 1 || got[0] != "AQ==" {
		t.Errorf("answered the challenge with %q, want a lone control-A", got)
	}
}

// tokens makes a command that prints text and counts how often it was run.
func tokens(t *testing.T, script string) (argv []string, runs func() int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "runs")
	argv = []string{"sh", "-c", "echo x >> \"$1\"; n=$(wc -l < \"$1\" | tr -d ' '); " + script, "token", log}
	return argv, func() int {
		b, _ := os.ReadFile(log) // not there: it did not run
		return strings.Count(string(b), "\n")
	}
}

// TestTokenCommand runs it once for all sessions, again when the token is over, and
// within the same attempt when a kept token is refused.
func TestTokenCommand(t *testing.T) {
	cfg, ca := authority(t)
	for name, row := range map[string]struct {
		script string
		answer func(call) string
		runs   int
		auths  int
	}{
		"kept":    {`echo token$n`, nil, 1, 3},
		"json":    {`echo '{"access_token":"token'$n'","expires_in":3600}'`, nil, 1, 3},
		"expired": {`echo '{"access_token":"token'$n'","expires_in":1}'`, nil, 3, 3},
		"refused": {`echo token$n`, func(c call) string {
			if c.verb == "AUTH" && c.nth == 2 {
				return "535 5.7.8 expired"
			}
			return ""
		}, 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			argv, runs := tokens(t, row.script)
			r := (&relay{tls: cfg, answer: row.answer}).start(t)
			c := open(t, r, email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", TokenCommand: argv, MaxPerSession: 1})
			for n := range 3 {
				if err := send(t, c, n); err != nil {
					t.Fatal(err)
				}
			}
			if runs() != row.runs || r.seen("AUTH") != row.auths {
				t.Errorf("%d runs, %d AUTH, want %d and %d", runs(), r.seen("AUTH"), row.runs, row.auths)
			}
		})
	}
}

// TestTokenCommandFails in words for the operator, and never with what was printed.
func TestTokenCommandFails(t *testing.T) {
	cfg, ca := authority(t)
	for script, says := range map[string]string{
		"exit 3":                         "exit status 3; run it by hand",
		"echo " + password + " and more": "not one token in one line",
		"echo '{\"token\":\"" + password + "\"}'":     "printed no token",
		"echo '{\"access_token\": 7}'; : " + password: "has no text access_token",
		"yes " + password: "more than 64 KiB",
		":":               "printed no token",
	} {
		argv, _ := tokens(t, script)
		r := (&relay{tls: cfg}).start(t)
		c := open(t, r, email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", TokenCommand: argv})
		_, err := c.Send(t.Context(), envelope("k1"))
		if f, _ := channels.FaultOf(err); f != channels.Unauthorized || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %s: %v does not say %q", script, f, err, says)
		}
		noCredential(t, err)
		if r.seen("AUTH") > 0 {
			t.Errorf("%s: a log-in was tried", script)
		}
	}
	c := open(t, (&relay{tls: cfg}).start(t), email.Config{TLS: "starttls", CAFile: ca, Username: "u", TokenCommand: []string{"/no/such/program"}})
	if err := send(t, c, 1); err == nil || !strings.Contains(err.Error(), "/no/such/program failed") {
		t.Error(err)
	}
	argv, _ := tokens(t, "sleep 60")
	c = open(t, (&relay{tls: cfg}).start(t), email.Config{
		TLS: "starttls", CAFile: ca, Username: "u", TokenCommand: argv, ConnectTimeout: 200 * time.Millisecond,
	})
	start := time.Now()
	if f, _ := channels.FaultOf(send(t, c, 1)); f != channels.Unavailable || time.Since(start) > 5*time.Second {
		t.Errorf("a command that hangs: %s after %s", f, time.Since(start))
	}
}

// TestTokenIsRedacted: a relay that repeats the token from the command does not make it
// show.
func TestTokenIsRedacted(t *testing.T) {
	cfg, ca := authority(t)
	argv, _ := tokens(t, "echo "+password)
	r := (&relay{tls: cfg, answer: script("MAIL", "550 5.7.1 not with "+password)}).start(t)
	c := open(t, r, email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", TokenCommand: argv})
	_, err := c.Send(t.Context(), envelope("k1"))
	noCredential(t, err)
	if err == nil || !strings.Contains(err.Error(), "[secret]") {
		t.Error(err)
	}
}

// TestClientCertificate is shown to a relay that wants one, read anew for each session.
func TestClientCertificate(t *testing.T) {
	cfg, ca := authority(t)
	key, leaf := certificate(t, &x509.Certificate{SerialNumber: big.NewInt(3)}, nil, nil)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, pool
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c := open(t, (&relay{tls: cfg}).start(t), email.Config{TLS: "starttls", CAFile: ca, ClientCertFile: certFile, ClientKeyFile: keyFile})
	err = send(t, c, 1)
	if f, _ := channels.FaultOf(err); f != channels.Unauthorized || !strings.Contains(err.Error(), "client_cert_file") {
		t.Errorf("without the files: %s: %v", f, err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: leaf.Raw}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(t, c, 2); err != nil {
		t.Error(err)
	}
}

// TestRequireTLS is asked for with every message, and of no relay that does not know it.
func TestRequireTLS(t *testing.T) {
	cfg, ca := authority(t)
	for mode, ext := range modes {
		r := (&relay{tls: cfg, ext: append([]string{"REQUIRETLS"}, ext...)}).start(t)
		if err := send(t, open(t, r, email.Config{TLS: "starttls", CAFile: ca, RequireTLS: true, Window: windowIn(mode)}), 1); err != nil {
			t.Error(err)
		}
		if got := r.said("MAIL"); len(got) != 1 || !strings.Contains(got[0]+" ", " REQUIRETLS ") {
			t.Errorf("%s: %q", mode, got)
		}
		r = (&relay{tls: cfg, ext: ext}).start(t)
		err := send(t, open(t, r, email.Config{TLS: "starttls", CAFile: ca, RequireTLS: true, Window: windowIn(mode)}), 1)
		if f, _ := channels.FaultOf(err); f != channels.Unauthorized || !strings.Contains(err.Error(), "require_tls") || r.seen("MAIL") > 0 {
			t.Errorf("%s: %s: %v", mode, f, err)
		}
	}
}

// TestRelaysInherit what they leave out, but not somebody else's credentials.
func TestRelaysInherit(t *testing.T) {
	cfg, ca := authority(t)
	own, shared := (&relay{tls: cfg, ext: []string{"AUTH PLAIN"}}).start(t), (&relay{tls: cfg, ext: []string{"AUTH PLAIN"}}).start(t)
	for _, r := range []*relay{own, shared} {
		c := open(t, nil, email.Config{
			TLS: "starttls", CAFile: ca, Username: "sitrep", Password: secret.New(password), MaxSessions: 1,
			Relays: []email.Relay{{Host: own.addr(), Username: "other", Password: secret.New("its own"), Priority: map[bool]int{false: 1}[r == own]}, {Host: shared.addr()}}[map[bool]int{false: 1}[r == own]:],
		})
		if err := send(t, c, 1); err != nil {
			t.Error(err)
		}
	}
	if a, b := own.said("AUTH"), shared.said("AUTH"); len(a) != 1 || len(b) != 1 || a[0] == b[0] {
		t.Errorf("%q and %q", a, b)
	}
}
