package acceptance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// browser is a running Chromium, spoken to over the DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/).
type browser struct {
	conn *websocket.Conn
	axe  string // the accessibility checker, or "" where it is missing

	mu      sync.Mutex
	last    int
	answers map[int]chan wire
	tabs    map[string]*tab // by session
	broken  error
}

// command is what we say.
type command struct {
	ID      int    `json:"id"`
	Session string `json:"sessionId,omitempty"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

// wire is what Chromium says: the answer to a command, or an event.
type wire struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"` // of an event
	Params  json.RawMessage `json:"params"` // of an event
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// chromiumFlags make Chromium work in a container, keep it quiet, and keep it on this
// machine: no name is resolved.
var chromiumFlags = []string{
	"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage",
	"--no-first-run", "--no-default-browser-check", "--disable-sync", "--disable-extensions",
	"--disable-background-networking", "--disable-component-update", "--disable-default-apps",
	"--disable-features=IsolateSandboxedIframes,Translate,OptimizationHints,MediaRouter", "--disable-site-isolation-trials",
	"--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", "--hide-scrollbars=false",
	"--remote-debugging-port=0", "--remote-allow-origins=http://127.0.0.1",
}

func startChromium(t *testing.T) *browser {
	t.Helper()
	program := need(t, "chromium", "chromium")
	dir := t.TempDir()
	cmd := exec.Command(program, append(chromiumFlags, "--user-data-dir="+dir, "about:blank")...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	b := &browser{answers: map[int]chan wire{}, tabs: map[string]*tab{}}
	t.Cleanup(func() { b.stop(cmd, exited) })
	config, err := websocket.NewConfig(devtoolsAddress(t, dir), "http://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	if b.conn, err = config.DialContext(t.Context()); err != nil {
		t.Fatalf("speak to Chromium: %v", err)
	}
	b.conn.MaxPayloadBytes = 64 << 20
	go b.listen()
	return b
}

// devtoolsAddress waits for the file in which Chromium writes where it listens.
func devtoolsAddress(t *testing.T, dir string) string {
	t.Helper()
	var port, path string
	eventually(t, "Chromium listening", func() bool {
		said, err := os.ReadFile(filepath.Join(dir, "DevToolsActivePort"))
		var ok bool
		port, path, ok = strings.Cut(strings.TrimSpace(string(said)), "\n")
		return err == nil && ok
	})
	return "ws://127.0.0.1:" + port + path
}

// stop asks Chromium to close, and all of its processes with it.
func (b *browser) stop(cmd *exec.Cmd, exited <-chan error) {
	if b.conn != nil {
		_, _ = b.call("", "Browser.close", nil) // it may be closed already
	}
	select {
	case <-exited: //nolint:errcheck // it was killed, and says so
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-exited //nolint:errcheck // it was killed, and says so
	}
	if b.conn != nil {
		_ = b.conn.Close()
	}
}

// listen hands out what Chromium says until the connection ends.
func (b *browser) listen() {
	for {
		var m wire
		err := websocket.JSON.Receive(b.conn, &m)
		b.mu.Lock()
		if err != nil {
			b.broken = err
			for _, answer := range b.answers {
				close(answer)
			}
			b.answers = map[int]chan wire{}
			b.mu.Unlock()
			return
		}
		answer, waiting := b.answers[m.ID]
		delete(b.answers, m.ID)
		on := b.tabs[m.Session]
		b.mu.Unlock()
		switch {
		case waiting:
			answer <- m
		case on != nil && m.Method != "":
			on.hear(m.Method, m.Params)
		}
	}
}

// call gives a command and waits for its answer.
func (b *browser) call(session, method string, params any) (json.RawMessage, error) {
	answer := make(chan wire, 1)
	b.mu.Lock()
	if b.broken != nil {
		b.mu.Unlock()
		return nil, b.broken
	}
	b.last++
	id := b.last
	b.answers[id] = answer
	b.mu.Unlock()
	if err := websocket.JSON.Send(b.conn, command{ID: id, Session: session, Method: method, Params: params}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	select {
	case m, ok := <-answer:
		if !ok {
			return nil, errors.New("chromium has gone")
		}
		if m.Error != nil {
			return nil, fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		return m.Result, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer", method)
	}
}
