package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"sitrep/channels/mattermost/mmfake"
)

//go:embed demo
var demoFiles embed.FS

// The cast of the demonstration. The files in demo/ name the same.
const (
	demoRecipients = 25
	demoGone       = "left.the.company@abc.example" // the relay does not know it
	demoTeam       = "example"
	demoInside     = "sev1-abc"
	demoShared     = "abc-shared"
	demoSecret     = "keep-alive" // a word of the technical notes that must not leave the team
)

// stage is the demonstration's remote sides and its temporary directory.
type stage struct {
	dir    string
	url    string // of the page with everything, without a slash at its end
	config string
	update []byte // the sample update's text
	key    string // under which it was accepted

	ln   net.Listener
	mail *relay
	chat *mmfake.Server
	web  *http.Server // nil until it serves
}

// newStage starts the relay and listens for the rest, and writes the files.
func newStage(ctx context.Context, listen string, now time.Time) (*stage, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("%w. Choose another address with --listen", err)
	}
	st := &stage{ln: ln, url: "http://" + reachable(ln.Addr())}
	token := rand.Text()
	st.chat = mmfake.New(mmfake.Options{
		Token: token, Rooms: []mmfake.Room{{Team: demoTeam, Name: demoInside}, {Team: demoTeam, Name: demoShared}},
	})
	err = st.furnish(ctx, token, now)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// reachable is a listener's address as this machine reaches it.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr.String()
}

func (st *stage) furnish(ctx context.Context, token string, now time.Time) error {
	var err error
	if st.dir, err = os.MkdirTemp("", "sitrep-demo-"); err != nil {
		return err
	}
	password := rand.Text()
	if st.mail, err = startRelay(ctx, password); err != nil {
		return err
	}
	st.config = st.file("sitrep.yaml")
	files := map[string][]byte{"chat-token": []byte(token), "relay-password": []byte(password), "relay.pem": st.mail.pem}
	config := map[string]string{"Ledger": "sqlite://" + filepath.ToSlash(st.file("sitrep.db")), "URL": st.url, "Relay": st.mail.address}
	for name, data := range map[string]any{
		"sitrep.yaml": config, "contacts.csv": nil, "resolved.md": nil, "update.md": sampleTimes(now),
	} {
		if files[name], err = filled(name, data); err != nil {
			return err
		}
	}
	st.update = files["update.md"]
	for name, content := range files {
		if err := os.WriteFile(st.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (st *stage) file(name string) string { return filepath.Join(st.dir, name) }

// filled is an embedded file with its blanks filled in.
func filled(name string, data any) ([]byte, error) {
	src, err := demoFiles.ReadFile("demo/" + name)
	if err != nil || data == nil {
		return src, err
	}
	t, err := template.New(name).Option("missingkey=error").Parse(string(src))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return b.Bytes(), err
}

// sampleTimes makes the sample update one of right now, promising the next for in
// about an hour.
func sampleTimes(now time.Time) map[string]string {
	eastern, err := time.LoadLocation("America/New_York")
	if err != nil {
		eastern = time.UTC // not possible: the program carries the zones
	}
	clock := func(t time.Time) string { return t.In(eastern).Format("3:04pm") + " ET" }
	return map[string]string{"Time": clock(now), "Next": clock(now.Add(70 * time.Minute).Truncate(10 * time.Minute))}
}

// Close ends everything and removes the directory.
func (st *stage) Close() error {
	errs := []error{st.ln.Close()}
	if st.web != nil {
		errs = []error{ignoreClosed(st.web.Close())} // and with it the listener; nobody is owed an answer any more
	}
	if st.mail != nil {
		errs = append(errs, st.mail.Close())
	}
	if st.dir != "" {
		errs = append(errs, os.RemoveAll(st.dir))
	}
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
