package email_test

import (
	"slices"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

var returnKey = secret.New("a key for the return path")

const aKey = "01hzx4c6m5q2w8e9r7t0y3u1ia"

// TestReturnPath: every message has its own, the same on every attempt and in every way
// of sending; it is read back whatever relays do to its case.
func TestReturnPath(t *testing.T) {
	paths := map[string]bool{}
	for mode, ext := range modes {
		r := (&relay{ext: ext}).start(t)
		c := open(t, r, email.Config{Window: windowIn(mode), Bounces: email.Bounces{Address: "Bounces@Example.com", Key: returnKey}})
		for range 2 {
			if _, err := c.Send(t.Context(), envelope(aKey)); err != nil {
				t.Fatal(err)
			}
		}
		for _, line := range r.said("MAIL") {
			path, _, _ := strings.Cut(strings.TrimPrefix(line, "MAIL FROM:"), " ")
			paths[path] = true
			for _, form := range []string{path, strings.Trim(path, "<>"), strings.ToUpper(path), " " + strings.ToLower(path) + " "} {
				if key, ok := c.ReadReturnPath(form); !ok || key != aKey {
					t.Errorf("%s: %q is read as %q, %t", mode, form, key, ok)
				}
			}
		}
		for _, raw := range r.messages() {
			if !strings.Contains(raw, "From: Status <status@example.com>") {
				t.Error("From has changed")
			}
		}
		if c.BounceAddress() != "Bounces@Example.com" {
			t.Error(c.BounceAddress())
		}
	}
	if len(paths) != 1 {
		t.Errorf("one delivery has several return paths: %v", paths)
	}
}

// TestReturnPathFits: the longest mailbox that may be configured leaves 64 octets.
func TestReturnPathFits(t *testing.T) {
	path := email.ReturnPath(returnKey, strings.Repeat("b", 20)+"@example.com", aKey)
	if err := email.CheckAddress(path); err != nil || strings.IndexByte(path, '@') != 64 {
		t.Errorf("%s: %d octets before the @, %v", path, strings.IndexByte(path, '@'), err)
	}
	if path != strings.ToLower(path) {
		t.Errorf("%s does not survive a change of case", path)
	}
}

// TestForgedReturnPath: nobody without the key makes one, and one delivery's does not
// do for another.
func TestForgedReturnPath(t *testing.T) {
	c := open(t, nil, email.Config{Host: "relay.test", Bounces: email.Bounces{Address: "bounces@example.com", Key: returnKey}})
	path := email.ReturnPath(returnKey, "bounces@example.com", aKey)
	mac := path[strings.LastIndexByte(path, '-')+1 : strings.IndexByte(path, '@')]
	for name, forged := range map[string]string{
		"another key":        email.ReturnPath(secret.New("another key, as long"), "bounces@example.com", aKey),
		"another delivery":   "bounces+" + strings.Replace(aKey, "0", "2", 1) + "-" + mac + "@example.com",
		"a shorter delivery": "bounces+" + aKey[1:] + "-" + mac + "@example.com",
		"no MAC":             "bounces+" + aKey + "-@example.com",
		"no hyphen":          "bounces+" + aKey + "@example.com",
		"half a MAC":         "bounces+" + aKey + "-" + mac[:8] + "@example.com",
		"a longer MAC":       "bounces+" + aKey + "-" + mac + "a@example.com",
		"bare":               "bounces@example.com",
		"nothing":            "",
		"null":               "<>",
		"no delivery":        email.ReturnPath(returnKey, "bounces@example.com", ""),
		"not a key":          email.ReturnPath(returnKey, "bounces@example.com", "a-b"),
		"too long a key":     email.ReturnPath(returnKey, "bounces@example.com", aKey+"a"),
		"no mailbox":         strings.TrimPrefix(path, "bounces"),
		"one letter wrong":   strings.Replace(path, mac, string(mac[0]^1)+mac[1:], 1),
	} {
		if key, ok := email.ReadReturnPath(returnKey, forged); ok {
			t.Errorf("%s: %s is believed to be of %s", name, forged, key)
		}
		if _, ok := c.ReadReturnPath(forged); ok {
			t.Errorf("%s: %s is believed by the channel", name, forged)
		}
	}
	for _, elsewhere := range []string{"bounces@example.org", "other@example.com"} {
		path := email.ReturnPath(returnKey, elsewhere, aKey)
		if _, ok := email.ReadReturnPath(returnKey, path); !ok {
			t.Errorf("%s: the key is right", path)
		}
		if _, ok := c.ReadReturnPath(path); ok {
			t.Errorf("%s is not this channel's mailbox", path)
		}
	}
	if _, ok := email.ReadReturnPath(secret.String{}, email.ReturnPath(secret.String{}, "bounces@example.com", aKey)); ok {
		t.Error("made without a key, and believed")
	}
	if _, ok := open(t, nil, email.Config{Host: "relay.test"}).ReadReturnPath(path); ok {
		t.Error("believed by a channel without a mailbox")
	}
}

func TestReadMessageID(t *testing.T) {
	c := open(t, nil, email.Config{Host: "relay.test", MessageIDDomain: "id.example.com"})
	for id, want := range map[string]string{
		"<" + aKey + "@id.example.com>":     aKey,
		aKey + "@id.example.com":            aKey,
		" <" + aKey + "@ID.Example.COM>\r":  aKey,
		"<" + aKey + "@example.com>":        "",
		"<" + aKey + "@x.id.example.com>":   "",
		"<" + aKey + "@id.example.com.>":    "",
		"<" + aKey + "@id.example.com@x>":   "",
		"<" + aKey + "@id.example.com":      "",
		"<" + aKey + "@id.example.com> <b>": "",
		"<" + aKey + ">":                    "",
		"<@id.example.com>":                 "",
		"<A@id.example.com>":                "",
		"<a.b@id.example.com>":              "",
		"<" + aKey + "a@id.example.com>":    "",
		"":                                  "",
	} {
		if key, ok := c.ReadMessageID(id); key != want || ok != (want != "") {
			t.Errorf("%q is read as %q, %t", id, key, ok)
		}
	}
	if _, ok := email.ReadMessageID("", "<"+aKey+"@>"); ok {
		t.Error("no domain is nobody's domain")
	}
	raw, err := email.Compose(c, envelope(aKey))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(raw) {
		if id, found := strings.CutPrefix(line, "Message-ID: "); found {
			if key, ok := c.ReadMessageID(id); !ok || key != aKey {
				t.Errorf("our own %q is read as %q, %t", id, key, ok)
			}
			return
		}
	}
	t.Error("no Message-ID")
}

// TestRequired: who is to be told by contract is not offered to leave.
func TestRequired(t *testing.T) {
	c := open(t, nil, email.Config{Host: "relay.test", Unsubscribe: email.Unsubscribe{URL: "https://status.example.com/u/", Key: returnKey}})
	for _, required := range []bool{false, true} {
		e := envelope(aKey)
		e.Audience, e.Required, e.List = "customer", required, "contacts"
		raw, err := email.Compose(c, e)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(raw), "unsubscribe") == required {
			t.Errorf("required: %t:\n%s", required, raw)
		}
		if !strings.Contains(raw, "List-Id: <contacts.example.com>") {
			t.Error("the list is not named")
		}
	}
}

// TestProbeKey: a probe's return path has the form of a message's, so that the relay is
// asked about the same, and is no delivery's.
func TestProbeKey(t *testing.T) {
	r := (&relay{}).start(t)
	c := open(t, r, email.Config{Bounces: email.Bounces{Address: "bounces@example.com", Key: returnKey}})
	if err := c.Probe(t.Context(), channels.Recipient{Address: "alice@abc.example"}); err != nil {
		t.Error(err)
	}
	if lines := r.said("MAIL"); !slices.ContainsFunc(lines, func(s string) bool { return strings.HasPrefix(s, "MAIL FROM:<bounces+probe-") }) {
		t.Errorf("%q", lines)
	}
}

// FuzzReturnPath: whatever comes back, what is believed was made with the key.
func FuzzReturnPath(f *testing.F) {
	f.Add(email.ReturnPath(returnKey, "bounces@example.com", aKey))
	f.Add("<BOUNCES+K-ABCDEFGHIJKLMNOP@EXAMPLE.COM>")
	f.Add("a+b-c+d-e@f@g")
	f.Add("<+-@>")
	f.Fuzz(func(t *testing.T, address string) {
		key, ok := email.ReadReturnPath(returnKey, address)
		if !ok {
			return
		}
		at := strings.LastIndexByte(address, '@')
		plus := strings.LastIndexByte(address[:at], '+')
		again := email.ReturnPath(returnKey, strings.TrimSpace(address[:plus]+strings.TrimSuffix(address[at:], ">")), key)
		if !strings.EqualFold(strings.Trim(strings.TrimSpace(address), "<>"), strings.Trim(strings.TrimSpace(again), "<>")) {
			t.Errorf("%q is read as %q, whose return path is %q", address, key, again)
		}
	})
}

// FuzzMessageID: what is believed is a key that a delivery can have.
func FuzzMessageID(f *testing.F) {
	f.Add("<" + aKey + "@example.com>")
	f.Add("a@example.com")
	f.Add("<<a@EXAMPLE.com>>")
	f.Fuzz(func(t *testing.T, id string) {
		key, ok := email.ReadMessageID("example.com", id)
		if ok && (key == "" || len(key) > 26 || !strings.EqualFold(strings.Trim(strings.TrimSpace(id), "<>"), key+"@example.com")) {
			t.Errorf("%q is read as %q", id, key)
		}
	})
}
