package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sitrep/ledger"
)

// demoEnv gives the demo a temporary directory of its own and an environment that
// would bend any other run.
func demoEnv(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("TMPDIR", dir)
	return dir, []string{"SITREP_LEDGER=sqlite:///nowhere/x.db", "SITREP_REQUIRE_NEXT_UPDATE=nonsense", "NO_COLOR=1"}
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	rest, err := os.ReadDir(dir)
	if err != nil || len(rest) > 0 {
		t.Errorf("the demo left %v behind (%v)", rest, err)
	}
}

func TestDemoOnce(t *testing.T) {
	dir, env := demoEnv(t)
	var out, errOut strings.Builder
	if code := run(t.Context(), []string{"demo", "--once"}, env, nil, &out, &errOut); code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errOut.String())
	}
	for _, want := range []string{
		"mail 20, page 1", "Accepted: 25 new deliveries", "20 of 21 delivered, 1 failed", demoGone, "no such recipient", "550 5.1.1", "As expected: 24 got it",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	nothingLeft(t, dir)
}

func TestDemoOnceJSON(t *testing.T) {
	_, env := demoEnv(t)
	var out, errOut strings.Builder
	if code := run(t.Context(), []string{"demo", "--once", "--json"}, env, nil, &out, &errOut); code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, out.String(), errOut.String())
	}
	var doc struct {
		Update     account `json:"update"`
		AsExpected bool    `json:"as_expected"`
	}
	dec := json.NewDecoder(strings.NewReader(out.String()))
	if err := dec.Decode(&doc); err != nil || dec.More() {
		t.Fatalf("not one JSON document (%v): %s", err, out.String())
	}
	if !doc.AsExpected || doc.Update.Delivered != 24 || doc.Update.Failed != 1 || len(doc.Update.Recipients) != 1 {
		t.Errorf("%+v", doc)
	}
}

func TestDemoUsage(t *testing.T) {
	dir, env := demoEnv(t)
	for want, args := range map[int][]string{
		exitUsage: {"demo", "extra"},
		exitError: {"demo", "--once", "--listen", "256.0.0.1:0"},
	} {
		var out, errOut strings.Builder
		if code := run(t.Context(), args, env, nil, &out, &errOut); code != want {
			t.Errorf("%v: exit %d, want %d: %s", args, code, want, errOut.String())
		}
	}
	nothingLeft(t, dir)
}

// liveDemo starts a demo and returns its URL and configuration. It ends it, and
// checks how it ended, at the end of the test.
func liveDemo(t *testing.T) (url, config string) {
	t.Helper()
	dir, env := demoEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		code := run(ctx, []string{"demo"}, env, nil, w, w)
		_ = w.Close()
		done <- code
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("after Ctrl-C: exit %d", code)
		}
		nothingLeft(t, dir)
	})
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if _, after, ok := strings.Cut(lines.Text(), "Look at it:  "); ok {
			url = after
		}
		if _, after, ok := strings.Cut(lines.Text(), "--config "); ok {
			config, _, _ = strings.Cut(after, " ")
		}
		if strings.HasSuffix(lines.Text(), "new enterprise-abc") {
			go func() { _, _ = io.Copy(io.Discard, r) }()
			return url, config
		}
	}
	t.Fatal("the demo ended before it served anything")
	return "", ""
}

func get(t *testing.T, url string) (string, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%.500s", url, res.Status, err, body)
	}
	return string(body), res.Header
}

// contacts are the addresses of the sample's CSV file.
func contacts(t *testing.T) []string {
	t.Helper()
	src, err := demoFiles.ReadFile("demo/contacts.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(src))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range rows[1:] {
		all = append(all, r[0])
	}
	return all
}

func TestDemoServesEverything(t *testing.T) {
	url, config := liveDemo(t)
	page, header := get(t, url)
	for _, who := range append(contacts(t), "ceo@example.com", demoInside, demoShared, "All 25 recipients", "/mail/20/source", "/status/c/", "@jane.doe") {
		if !strings.Contains(page, who) {
			t.Errorf("the page lacks %q", who)
		}
	}
	if found := alive(t, page); len(found) > 0 {
		t.Errorf("the page is alive: %v", found)
	}
	if got := header.Get("Content-Security-Policy"); got != galleryCSP+"; frame-ancestors 'none'" {
		t.Errorf("policy %q", got)
	}
	mail, _ := get(t, url+"/mail/1")
	source, _ := get(t, url+"/mail/1/source")
	if !strings.Contains(mail, "srcdoc=") || !strings.Contains(source, "Message-ID:") || !strings.Contains(source, "text/html") {
		t.Errorf("a mail is not shown whole: %.200s\n%.500s", mail, source)
	}
	if text, _ := get(t, url+"/metrics"); !strings.Contains(text, `outcome="delivered"} 20`) {
		t.Error("the metrics do not count the mails")
	}
	if text, _ := get(t, url+"/status/"); !strings.Contains(text, "Sign-in fails") || strings.Contains(text, "Enterprise") {
		t.Error("the public page is not as it should be")
	}
	secondUpdate(t, url, config)
}

// secondUpdate does what the demo says to try next.
func secondUpdate(t *testing.T, url, config string) {
	t.Helper()
	var out strings.Builder
	file := filepath.Join(filepath.Dir(config), "resolved.md")
	if code := run(t.Context(), []string{"--config", config, "send", "--yes", file}, nil, nil, &out, &out); code != exitOK {
		t.Fatalf("sending the second update: exit %d\n%s", code, out.String())
	}
	page, _ := get(t, url)
	for _, want := range []string{"2 updates, 25 recipients each", "Who got update 2", "All 40 mails", "suppressed", "(edited)"} {
		if !strings.Contains(page, want) {
			t.Errorf("after the second update the page lacks %q", want)
		}
	}
}

func TestDemoNotFound(t *testing.T) {
	url, _ := liveDemo(t)
	for _, path := range []string{"/nothing", "/mail/0", "/mail/99", "/mail/x/source", "/mail/-1"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// asItShouldBe is the account of a sample update that went well.
func asItShouldBe(t *testing.T) account {
	t.Helper()
	acc := account{Delivered: 24, Failed: 1}
	add := func(channel, address, audience string) {
		r := recipient{Channel: channel, Address: address, Audience: audience, Outcome: string(ledger.Delivered)}
		if address == demoGone {
			r.Outcome, r.Fault = string(ledger.Failed), "no_recipient"
		}
		acc.Recipients = append(acc.Recipients, r)
	}
	for _, a := range contacts(t) {
		add("mail", a, "customer")
	}
	add("mail", "ceo@example.com", "internal")
	return acc
}

func mailboxOf(acc account) []received {
	var all []received
	for _, r := range acc.Recipients {
		if r.Outcome == string(ledger.Delivered) {
			all = append(all, received{To: r.Address, Raw: []byte("Subject: s\r\nContent-Type: text/plain\r\n\r\nhello\r\n")})
		}
	}
	return all
}

func TestDemoSeesWhatIsWrong(t *testing.T) {
	if found := append(accountDifferences(asItShouldBe(t)), mailDifferences(asItShouldBe(t), mailboxOf(asItShouldBe(t)))...); len(found) > 0 {
		t.Fatalf("what is right is called wrong: %v", found)
	}
	for name, bend := range map[string]func(acc *account, box *[]received){
		"one less":            func(acc *account, _ *[]received) { acc.Delivered-- },
		"one pending":         func(acc *account, _ *[]received) { acc.Pending = 1 },
		"one suppressed":      func(acc *account, _ *[]received) { acc.Other = 1 },
		"another one failed":  func(acc *account, _ *[]received) { acc.Recipients[0].Outcome = "failed" },
		"the gone one got it": func(acc *account, _ *[]received) { acc.Recipients[12].Outcome = "delivered" },
		"another reason":      func(acc *account, _ *[]received) { acc.Recipients[12].Fault = "rejected" },
		"a mail is missing":   func(_ *account, box *[]received) { *box = (*box)[1:] },
		"a mail came twice":   func(_ *account, box *[]received) { *box = append(*box, (*box)[0]) },
		"a stranger has mail": func(_ *account, box *[]received) { (*box)[0].To = "eve@evil.example" },
		"a leak":              func(_ *account, box *[]received) { (*box)[0].Raw = []byte("Subject: s\r\n\r\n" + demoSecret + "\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			acc := asItShouldBe(t)
			box := mailboxOf(acc)
			acc.Recipients = slices.Clone(acc.Recipients)
			bend(&acc, &box)
			if found := append(accountDifferences(acc), mailDifferences(acc, box)...); len(found) == 0 {
				t.Error("nobody noticed")
			}
		})
	}
}

func TestDemoFailsLoudly(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out, errOut strings.Builder
		a := newApp(nil, nil, &out, &errOut)
		a.json = asJSON
		err := a.demoReport(&stage{}, account{}, []string{"the room is empty"}, demoFlags{once: true})
		if a.end(err) != exitError || !strings.Contains(out.String()+errOut.String(), "the room is empty") {
			t.Errorf("json %v: %v, %q, %q", asJSON, err, out.String(), errOut.String())
		}
	}
}

func TestDemoRelay(t *testing.T) {
	r, err := startRelay(t.Context(), "right")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.pem)
	for name, c := range map[string]struct {
		password, to, want string
	}{
		"all is well":    {"right", "a@b.example", ""},
		"wrong password": {"wrong", "a@b.example", "535"},
		"no password":    {"", "a@b.example", "5.7.0"},
		"gone":           {"right", strings.ToUpper(demoGone), "550"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := sendOne(r.address, roots, c.password, c.to); err != nil {
				got = fmt.Sprintf("%v %+v", err, err)
				if e, ok := errors.AsType[*smtp.SMTPError](err); ok {
					got = fmt.Sprintf("%d %d.%d.%d", e.Code, e.EnhancedCode[0], e.EnhancedCode[1], e.EnhancedCode[2])
				}
			}
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("answered %q, want %q", got, c.want)
			}
		})
	}
	if box := r.mailbox(); len(box) != 1 || box[0].To != "a@b.example" {
		t.Errorf("the mailbox: %+v", box)
	}
}

func sendOne(address string, roots *x509.CertPool, password, to string) error {
	c, err := smtp.DialStartTLS(address, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	if err != nil {
		return err
	}
	defer c.Close()
	if password != "" {
		if err := c.Auth(sasl.NewPlainClient("", "status", password)); err != nil {
			return err
		}
	}
	return c.SendMail("s@b.example", []string{to}, strings.NewReader("Subject: s\r\n\r\nx\r\n"))
}

func TestSampleTimes(t *testing.T) {
	got := sampleTimes(time.Date(2026, 11, 23, 0, 20, 0, 0, time.UTC))
	if fmt.Sprint(got) != "map[Next:8:30pm ET Time:7:20pm ET]" {
		t.Errorf("%v", got)
	}
}

func FuzzReceivedView(f *testing.F) {
	f.Add([]byte("Subject: =?utf-8?q?x?=\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n"))
	f.Add([]byte("\r\n"))
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = received{To: "a@b.example", Raw: raw}.view() // it must come back
	})
}
