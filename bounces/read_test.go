package bounces_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"sitrep/bounces"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// Each message in testdata is read as its golden file says.
func TestCorpus(t *testing.T) {
	files := corpus(t)
	if len(files) < 25 {
		t.Fatalf("%d messages, want 25 at least", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := bounces.Read(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".eml")+".json", rep)

			// As mail travels: with CRLF.
			crlf, err := bounces.Read(bytes.NewReader(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))))
			if err != nil || show(t, crlf) != show(t, rep) {
				t.Errorf("with CRLF it is read differently (%v):\n%s", err, show(t, crlf))
			}
		})
	}
}

func corpus(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func show(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func golden(t *testing.T, path string, v any) {
	t.Helper()
	got := show(t, v)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); got:\n%s", path, err, got)
	}
}

func TestReadError(t *testing.T) {
	want := errors.New("the line broke")
	if _, err := bounces.Read(iotest.ErrReader(want)); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// What a report is cut off at does not matter: the returned message comes last.
func TestLargeMessage(t *testing.T) {
	raw, err := os.ReadFile("testdata/postfix.eml")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(raw, []byte("--"))
	huge := append(bytes.Clone(raw[:at]), bytes.Repeat([]byte("a picture in base64\n"), 200_000)...)
	r := bytes.NewReader(huge)
	rep, err := bounces.Read(r)
	if err != nil || rep.Kind != bounces.Failure || len(rep.Recipients) != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	if read := len(huge) - r.Len(); read > 1<<20 {
		t.Errorf("%d bytes were read", read)
	}
}

// A message of thousands of parts or recipients is not followed into each.
func TestBounds(t *testing.T) {
	nested := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\nContent-Type: multipart/mixed; boundary=b\n\n", 10_000)
	if rep, err := bounces.Read(strings.NewReader(nested)); err != nil || rep.Kind != bounces.Other {
		t.Errorf("nested parts: %+v, %v", rep, err)
	}
	for depth, want := range map[int]bounces.Kind{3: bounces.Failure, 6: bounces.Other} {
		deep := ""
		for i := range depth {
			deep += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		deep += "Content-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n"
		if rep, err := bounces.Read(strings.NewReader(deep)); err != nil || rep.Kind != want {
			t.Errorf("%d levels: %s, %v; want %s", depth, rep.Kind, err, want)
		}
	}
	many := "Content-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n" +
		strings.Repeat("\nFinal-Recipient: rfc822; x@example.com\nAction: failed\nStatus: 5.1.1\n", 10_000)
	rep, err := bounces.Read(strings.NewReader(many))
	if err != nil || rep.Kind != bounces.Failure || len(rep.Recipients) != 100 {
		t.Errorf("many recipients: %d, %v", len(rep.Recipients), err)
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range corpus(f) {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("Subject: =?utf-8?q?=00=0a?=\nContent-Type: multipart/report; boundary=\"\"\n\n--\n"))
	f.Add([]byte("Return-Path: <>\n\nDelivery to the following recipient failed permanently:\n\n   \x00\x10alice@customer.example\a"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rep, err := bounces.Read(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		switch rep.Kind {
		case bounces.Failure, bounces.Delay:
			if len(rep.Recipients) == 0 {
				t.Error("a report of nobody")
			}
		case bounces.AutoReply, bounces.Other:
		default:
			t.Errorf("%q is no kind", rep.Kind)
		}
		if len(rep.Recipients) > 100 || len(rep.To) > 100 {
			t.Errorf("%d recipients, to %d", len(rep.Recipients), len(rep.To))
		}
		for _, s := range append(rep.To, rep.EnvelopeID, rep.MessageID) {
			oneLine(t, s)
		}
		for _, r := range rep.Recipients {
			for _, s := range []string{r.Address, r.Original, r.Status, r.Detail} {
				oneLine(t, s)
			}
			if r.Gone && (r.Kind != bounces.Failure || r.Fault != "no_recipient") {
				t.Errorf("%+v suppresses", r)
			}
		}
	})
}

func oneLine(t *testing.T, s string) {
	t.Helper()
	if len(s) > 1500 || !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\x00\x1b") {
		t.Errorf("%q cannot be shown in one line", s)
	}
}
