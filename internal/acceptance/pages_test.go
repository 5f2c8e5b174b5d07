package acceptance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// pagesHome is the folder of somebody who publishes to two status pages, and to
// nothing else: a private one and the public one.
func pagesHome(t *testing.T) home {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
page: {title: Example Status}
channels:
  - {id: page, kind: page}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    public_name: a large customer
    zone: America/New_York
    lists:
      - {id: contacts, audience: customer, to: [{page: [abc]}]}
      - {id: public, audience: public, to: [{page: [public]}]}
`)
	h.write(t, "identified.md", identified)
	h.write(t, "monitoring.md", monitoring)
	return h
}

// hostile is what somebody could have pasted into an update.
var hostile = compose("Identified", `The `+summaryMark+` cause is <script>document.title="taken"</script> known.

<img src="https://elsewhere.example/seen.png" onerror="document.title='taken'"> ![seen](https://elsewhere.example/seen.png)

[a link](javascript:document.title="taken") <style>body{display:none}</style>`)

// serve starts a command of the program that serves until it is stopped, and returns
// the JSON it prints first. At the test's end it is stopped as by Ctrl-C, and is to
// end well.
func (h home) serve(t *testing.T, said any, args ...string) {
	t.Helper()
	cmd := h.command(context.WithoutCancel(t.Context()), t, args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("sitrep %s, stopped as by Ctrl-C: %v\n%s", strings.Join(args, " "), err, &errOut)
		}
	})
	if err := json.NewDecoder(out).Decode(said); err != nil {
		t.Fatalf("sitrep %s: %v\n%s", strings.Join(args, " "), err, &errOut)
	}
}

// links are the pages' addresses, as `sitrep page --json` prints them.
type links struct {
	Pages []struct{ Address, URL string }
}

func (l links) of(t *testing.T, address string) string {
	t.Helper()
	for _, p := range l.Pages {
		if p.Address == address {
			return p.URL
		}
	}
	t.Fatalf("there is no page %q among %+v", address, l)
	return ""
}

// What must not be on a page that everybody can see, and on any page of a customer.
var (
	notForCustomers = []string{notesMark, "Technical Notes", "http_requests_total"}
	notForAll       = append([]string{"Enterprise", "ABC", "enterprise-abc"}, notForCustomers...)
)

// Everything that people look at in a browser.
func TestInBrowser(t *testing.T) {
	t.Parallel()
	b := startChromium(t)
	t.Run("accessibility checker", b.loadAxe)
	t.Run("status pages", b.statusPages)
	t.Run("preview", b.previewPage)
	t.Run("demo", b.demoPage)
}

// statusPages: the public one and a customer's own, the history and the incidents.
func (b *browser) statusPages(t *testing.T) {
	h := pagesHome(t)
	h.write(t, "hostile.md", hostile)
	h.send(t, 0, "hostile.md")
	h.send(t, 0, "monitoring.md")
	var served links
	h.serve(t, &served, "page", "--json", "--listen", "127.0.0.1:"+freePort(t))
	public, private := strings.TrimSuffix(served.of(t, "public"), "/"), served.of(t, "abc")
	seen := []string{"Monitoring", "Identified", summaryMark, impactMark, "No data has been lost."}
	b.inspect(t, subject{name: "public", url: public + "/", title: "Example Status", says: seen, secrets: notForAll})
	b.inspect(t, subject{name: "private", url: private, title: "Example Status", says: seen, secrets: notForCustomers})
	b.inspect(t, subject{name: "public history", url: public + "/history", title: "Example Status", secrets: notForAll})
	b.inspect(t, subject{name: "public incident", url: b.incident(t, public+"/"), title: "Example Status", says: seen, secrets: notForAll})
	b.inspect(t, subject{name: "private incident", url: b.incident(t, private), title: "Example Status", says: seen, secrets: notForCustomers})
}

// incident is the address of the page's first incident.
func (b *browser) incident(t *testing.T, page string) string {
	t.Helper()
	var link string
	b.open(t, page, views()[0]).evaluate(t, `document.querySelector("main a[href*='/i/']")?.href || ""`, &link)
	if link == "" {
		t.Fatalf("%s links to no incident", page)
	}
	return link
}

// previewPage is the page of all renderings, for an update that the leak guard has
// nothing against.
func (b *browser) previewPage(t *testing.T) {
	h := mailAndPages(t)
	h.write(t, "hostile.md", hostile)
	if r := h.sitrep(t, "preview", "hostile.md", "--html", "preview.html"); r.code != 0 {
		t.Fatal(r)
	}
	b.inspect(t, subject{
		name: "preview", url: "file://" + h.path("preview.html"), title: "Enterprise ABC",
		says: []string{"internal", "customer", "public", summaryMark, notesMark, impactMark},
	})
}

// mailAndPages is the folder of somebody with every kind of audience. Nothing is sent
// from it.
func mailAndPages(t *testing.T) home {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - {id: mail, kind: email, host: "127.0.0.1:1", from: status@status.example}
  - {id: chat, kind: mattermost, webhook: "http://127.0.0.1:1/hooks/abc"}
  - {id: page, kind: page}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    public_name: a large customer
    zone: America/New_York
    lists:
      - {id: war-room, audience: internal, to: [{mail: [ops@status.example]}, {chat: [town-square]}]}
      - {id: contacts, audience: customer, to: [{mail: [alice@abc.example]}, {page: [abc]}]}
      - {id: public, audience: public, to: [{page: [public]}]}
`)
	h.write(t, "identified.md", identified)
	return h
}

// demoPage is the demo as somebody sees it who tries it first. It leaves nothing
// behind.
func (b *browser) demoPage(t *testing.T) {
	h := newHome(t, "")
	t.Run("pages", func(t *testing.T) {
		var demo struct {
			URL        string
			AsExpected bool `json:"as_expected"`
			Update     account
		}
		h.serve(t, &demo, "demo", "--json")
		if !demo.AsExpected || demo.Update.Delivered != 24 || demo.Update.Failed != 1 {
			t.Errorf("the demo: %+v, want 24 delivered and 1 failed", demo)
		}
		b.inspect(t, subject{name: "front", url: demo.URL, title: "demo", says: []string{"24"}})
		b.inspect(t, subject{name: "mail", url: strings.TrimSuffix(demo.URL, "/") + "/mail/1", title: "Enterprise ABC", says: []string{"Enterprise ABC"}})
	})
	if left, err := os.ReadDir(h.path("tmp")); err != nil || len(left) != 0 {
		t.Errorf("the demo left %v behind (%v)", left, err)
	}
}
