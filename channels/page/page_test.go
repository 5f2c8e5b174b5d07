package page_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/channels/page"
)

// remote is a status page that keeps its entries in memory and behaves as told.
type remote struct {
	behave channeltest.Scenario

	mu       sync.Mutex
	entries  map[string]string // page and key → payload
	attempts int
}

func (p *remote) Publish(ctx context.Context, key, address string, update []byte) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.entries[address+" "+key]; !again {
		p.attempts++
	}
	switch p.behave {
	case channeltest.Down:
		return "", channels.Errorf(channels.Unavailable, "the disk is full")
	case channeltest.BadPayload:
		return "", channels.Errorf(channels.Rejected, "not for this page")
	case channeltest.Silent:
		<-ctx.Done()
		return "", ctx.Err()
	case channeltest.Accept, channeltest.Cut:
		if err := ctx.Err(); err != nil {
			return "", err
		}
	default:
	}
	p.entries[address+" "+key] = string(update)
	if p.behave == channeltest.Cut {
		return "", errors.New("commit: connection reset")
	}
	return pathOf(address, key), nil
}

func (p *remote) Published(ctx context.Context, key, address string) (string, bool, error) {
	if p.behave == channeltest.Down {
		return "", false, errors.New("the disk is full")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, found := p.entries[address+" "+key]
	return pathOf(address, key), found, ctx.Err()
}

func pathOf(address, key string) string {
	if address != "public" {
		return ""
	}
	return "https://status.example.com/i/" + key
}

func open(t *testing.T, s channeltest.Scenario) channeltest.Rig {
	t.Helper()
	p := &remote{behave: s, entries: map[string]string{}}
	rig := channeltest.Rig{
		Channel: build(t, p),
		To:      channels.Recipient{Address: "public"},
		Message: message(t, update()),
		Attempts: func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.attempts
		},
	}
	if s == channeltest.UnknownRecipient {
		rig.To.Address = "No such page"
	}
	return rig
}

func update() channels.PageUpdate {
	return channels.PageUpdate{
		Incident: "3f9a", Seq: 1, Audience: "public", Title: "Outage", Status: "identified",
		At: time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC),
	}
}

func message(t *testing.T, u channels.PageUpdate) channels.Message {
	t.Helper()
	payload, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	return channels.Message{Format: channels.FormatPage, Payload: payload}
}

func build(t *testing.T, pages any) channels.Channel {
	t.Helper()
	ch, err := page.New(stanza, channels.Env{ID: "page", HTTP: http.DefaultClient, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// stanza is the stanza of a page: nothing.
func stanza(any) error { return nil }

func TestChannel(t *testing.T) {
	channeltest.Run(t, channeltest.Suite{
		Open: open,
		Skip: map[channeltest.Scenario]string{
			channeltest.Busy:           "the page is part of the program and limits no rate",
			channeltest.BadCredentials: "the page is part of the program and asks for no credential",
		},
	})
}

func TestReceiptHasTheLinkOfAPublicPageOnly(t *testing.T) {
	tests := []struct{ name, address, want string }{
		{"public", "public", "https://status.example.com/i/k1"},
		{"private", "abc", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ch := build(t, &remote{behave: channeltest.Accept, entries: map[string]string{}})
			e := channels.Envelope{Key: "k1", To: channels.Recipient{Address: tt.address}, Message: message(t, update())}
			r, err := ch.Send(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if r.Permalink != tt.want || r.RemoteID != "k1" {
				t.Errorf("receipt %+v, want permalink %q of k1", r, tt.want)
			}
		})
	}
}

func TestRefusedMessages(t *testing.T) {
	late := update()
	late.At = time.Time{}
	nameless := update()
	nameless.Incident = ""
	tests := map[string]channels.Message{
		"not JSON":     {Format: channels.FormatPage, Payload: []byte("<html>")},
		"empty":        {Format: channels.FormatPage},
		"other format": {Format: channels.FormatText, Text: "x", Payload: message(t, update()).Payload},
		"no time":      message(t, late),
		"no incident":  message(t, nameless),
		"too big":      {Format: channels.FormatPage, Payload: []byte(`"` + strings.Repeat("x", 1<<20) + `"`)},
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			p := &remote{behave: channeltest.Accept, entries: map[string]string{}}
			_, err := build(t, p).Send(t.Context(), channels.Envelope{Key: "k", To: channels.Recipient{Address: "abc"}, Message: m})
			if f, _ := channels.FaultOf(err); f != channels.Rejected {
				t.Errorf("fault %q (%v), want rejected", f, err)
			}
			if p.attempts != 0 {
				t.Error("the page was asked to take it")
			}
		})
	}
}

func TestEditReplacesTheEarlierEntry(t *testing.T) {
	p := &remote{behave: channeltest.Accept, entries: map[string]string{}}
	ch := build(t, p)
	e := channels.Envelope{Key: "first", To: channels.Recipient{Address: "abc"}, Message: message(t, update())}
	receipt, err := ch.Send(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	corrected := update()
	corrected.Title = "Corrected"
	fix := channels.Envelope{Key: "second", To: e.To, Message: message(t, corrected)}
	again, err := ch.(channels.Editor).Edit(t.Context(), fix, receipt)
	if err != nil {
		t.Fatal(err)
	}
	if again.RemoteID != "first" || len(p.entries) != 1 || !strings.Contains(p.entries["abc first"], "Corrected") {
		t.Errorf("after the correction: receipt %+v, page %v", again, p.entries)
	}
	_, err = ch.(channels.Editor).Edit(t.Context(), fix, channels.Receipt{RemoteID: "never"})
	if f, _ := channels.FaultOf(err); f != channels.Rejected {
		t.Errorf("correcting what is not there: %v, want rejected", err)
	}
}

func TestProbe(t *testing.T) {
	tests := []struct {
		name    string
		behave  channeltest.Scenario
		address string
		want    channels.Fault
	}{
		{"up", channeltest.Accept, "abc", ""},
		{"down", channeltest.Down, "abc", channels.Unavailable},
		{"bad address", channeltest.Accept, "a/b", channels.NoRecipient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &remote{behave: tt.behave, entries: map[string]string{}}
			err := build(t, p).(channels.Prober).Probe(t.Context(), channels.Recipient{Address: tt.address})
			if f, _ := channels.FaultOf(err); f != tt.want {
				t.Errorf("fault %q (%v), want %q", f, err, tt.want)
			}
			if p.attempts != 0 || len(p.entries) != 0 {
				t.Error("the probe left something on the page")
			}
		})
	}
}

func TestNewWithoutAPageChecksButCannotSend(t *testing.T) {
	ch := build(t, nil)
	_, err := ch.Send(t.Context(), channels.Envelope{Key: "k", To: channels.Recipient{Address: "abc"}, Message: message(t, update())})
	if f, _ := channels.FaultOf(err); f != channels.Unavailable {
		t.Errorf("fault %q (%v), want unavailable", f, err)
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := page.New(stanza, channels.Env{ID: "front", Pages: "a string"})
	if err == nil || !strings.Contains(err.Error(), "cannot publish on a status page") || !strings.Contains(err.Error(), "front") {
		t.Errorf("error %v, want one of channel front that says what is wrong", err)
	}
	failing := errors.New("line 4: unknown key")
	if _, err := page.New(func(any) error { return failing }, channels.Env{}); !errors.Is(err, failing) {
		t.Errorf("the stanza's mistakes are lost: %v", err)
	}
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"public", "abc", "enterprise-abc", "0", strings.Repeat("a", 64)} {
		if err := page.CheckAddress(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "ABC", "a b", "a/b", "..", "ä", "a\n", strings.Repeat("a", 65)} {
		if page.CheckAddress(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
