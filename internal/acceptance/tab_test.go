package acceptance_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// args are a command's parameters.
type args map[string]any

// tab is a page in the browser, and what it was heard to complain about or fetch.
type tab struct {
	b       *browser
	session string
	loaded  chan struct{}

	mu         sync.Mutex
	complaints []string // errors and warnings on the console, and broken rules of the CSP
	requests   []string // addresses, data: and about: left out
}

// view is how somebody looks at a page.
type view struct {
	width, height  int
	dark, noScript bool
}

func (v view) String() string {
	s := fmt.Sprintf("%d px, light", v.width)
	if v.dark {
		s = fmt.Sprintf("%d px, dark", v.width)
	}
	if v.noScript {
		s += ", no scripts"
	}
	return s
}

// open opens a page and returns when all of it is loaded.
func (b *browser) open(t *testing.T, url string, v view) *tab {
	t.Helper()
	var target struct{ TargetID, SessionID string }
	b.ask(t, "", "Target.createTarget", args{"url": "about:blank"}, &target)
	id := target.TargetID
	b.ask(t, "", "Target.attachToTarget", args{"targetId": id, "flatten": true}, &target)
	p := &tab{b: b, session: target.SessionID, loaded: make(chan struct{}, 100)}
	b.mu.Lock()
	b.tabs[p.session] = p
	b.mu.Unlock()
	t.Cleanup(func() { _, _ = b.call("", "Target.closeTarget", args{"targetId": id}) }) // it goes with the browser at the latest
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		p.do(t, domain+".enable", nil)
	}
	p.look(t, v)
	p.do(t, "Page.navigate", args{"url": url})
	select {
	case <-p.loaded:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s was not loaded within 30 seconds", url)
	}
	return p
}

// look sets the size of the window, the colour scheme, and whether scripts run.
func (p *tab) look(t *testing.T, v view) {
	t.Helper()
	scheme := "light"
	if v.dark {
		scheme = "dark"
	}
	p.do(t, "Emulation.setDeviceMetricsOverride", args{"width": v.width, "height": v.height, "deviceScaleFactor": 1, "mobile": v.width < 600})
	p.do(t, "Emulation.setEmulatedMedia", args{"features": []args{{"name": "prefers-color-scheme", "value": scheme}}})
	p.do(t, "Emulation.setScriptExecutionDisabled", args{"value": v.noScript})
}

// do gives a command whose answer says nothing.
func (p *tab) do(t *testing.T, method string, params any) {
	t.Helper()
	p.b.ask(t, p.session, method, params, nil)
}

func (b *browser) ask(t *testing.T, session, method string, params, result any) {
	t.Helper()
	answer, err := b.call(session, method, params)
	if err == nil && result != nil {
		err = json.Unmarshal(answer, result)
	}
	if err != nil {
		t.Fatalf("Chromium: %v", err)
	}
}

// hear takes an event.
func (p *tab) hear(method string, params json.RawMessage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch method {
	case "Page.loadEventFired":
		p.loaded <- struct{}{}
	case "Runtime.exceptionThrown":
		p.complaints = append(p.complaints, string(params))
	case "Runtime.consoleAPICalled":
		var e struct{ Type string }
		if json.Unmarshal(params, &e) != nil || e.Type == "error" || e.Type == "warning" || e.Type == "assert" {
			p.complaints = append(p.complaints, string(params))
		}
	case "Log.entryAdded":
		var e struct {
			Entry struct{ Level, Text, URL string }
		}
		if json.Unmarshal(params, &e) != nil || e.Entry.Level == "error" || e.Entry.Level == "warning" {
			p.complaints = append(p.complaints, e.Entry.Text+" "+e.Entry.URL)
		}
	case "Network.requestWillBeSent":
		var e struct{ Request struct{ URL string } }
		if json.Unmarshal(params, &e) != nil || !strings.HasPrefix(e.Request.URL, "data:") && !strings.HasPrefix(e.Request.URL, "about:") {
			p.requests = append(p.requests, e.Request.URL)
		}
	}
}

// heard is what was complained about and fetched until now.
func (p *tab) heard() (complaints, requests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.complaints...), append([]string(nil), p.requests...)
}

// evaluate runs a script in the page, also where the page itself may run none.
func (p *tab) evaluate(t *testing.T, script string, result any) {
	t.Helper()
	p.evaluateIn(t, args{}, script, result)
}

// evaluateIn is evaluate in the place that where names: nothing for the page itself.
func (p *tab) evaluateIn(t *testing.T, where args, script string, result any) {
	t.Helper()
	where["expression"], where["returnByValue"], where["awaitPromise"] = script, true, true
	var said struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.b.ask(t, p.session, "Runtime.evaluate", where, &said)
	if e := said.ExceptionDetails; e != nil {
		t.Fatalf("in the page: %s %s", e.Text, e.Exception.Description)
	}
	if err := json.Unmarshal(said.Result.Value, result); err != nil {
		t.Fatalf("in the page: %v: %s", err, said.Result.Value)
	}
}

// frames runs lookScript in every frame of the page.
func (p *tab) frames(t *testing.T) []looks {
	t.Helper()
	var tree struct {
		FrameTree struct {
			ChildFrames []struct{ Frame struct{ ID string } }
		}
	}
	p.b.ask(t, p.session, "Page.getFrameTree", nil, &tree)
	all := make([]looks, len(tree.FrameTree.ChildFrames))
	for i, f := range tree.FrameTree.ChildFrames {
		var world struct{ ExecutionContextID int }
		p.b.ask(t, p.session, "Page.createIsolatedWorld", args{"frameId": f.Frame.ID}, &world)
		p.evaluateIn(t, args{"contextId": world.ExecutionContextID}, lookScript, &all[i])
	}
	return all
}

// outer is the document as HTML, as the browser has it.
func (p *tab) outer(t *testing.T) string {
	t.Helper()
	var doc struct{ Root struct{ NodeID int } }
	p.b.ask(t, p.session, "DOM.getDocument", args{"depth": 0}, &doc)
	var html struct{ OuterHTML string }
	p.b.ask(t, p.session, "DOM.getOuterHTML", args{"nodeId": doc.Root.NodeID}, &html)
	return html.OuterHTML
}

// drawnScript waits until the page has been drawn several times: frames that come into
// sight are not drawn at once.
const drawnScript = `(async () => {
	for (let i = 0; i < 10; i++) await new Promise(requestAnimationFrame);
	return true;
})()`

// keep saves a picture of the whole page with the test's artifacts (go test
// -artifacts keeps them). It makes the window as high as the page, for frames are only
// drawn where they can be seen, so nothing of the page can be measured after it.
func (p *tab) keep(t *testing.T, v view) {
	t.Helper()
	p.evaluate(t, "Math.min(document.documentElement.scrollHeight, 16000)", &v.height)
	p.do(t, "Page.bringToFront", nil)
	p.look(t, v)
	var drawn bool
	p.evaluate(t, drawnScript, &drawn)
	var shot struct{ Data string }
	p.b.ask(t, p.session, "Page.captureScreenshot", nil, &shot)
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.NewReplacer("/", " ", ",", "").Replace(t.Name()) + ".png"
	if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
