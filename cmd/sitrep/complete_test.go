package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Completion offers what there is, makes nothing, and is silent where something is wrong.
func TestCompletion(t *testing.T) {
	dir, env := readingHome(t)
	offers := func(words ...string) string {
		t.Helper()
		code, out, errOut := cli(t, env, append([]string{"__complete"}, words...)...)
		if code != exitOK || strings.Contains(errOut, "sitrep:") {
			t.Errorf("%v: %d %s%s", words, code, out, errOut)
		}
		list, _, _ := strings.Cut(out, "\n:")
		return list
	}
	before := snapshot(t, dir)
	for words, want := range map[string]string{
		"report ": ":4\n", "retry ": ":4\n", "cancel ": ":4\n", "token revoke ": ":4\n", "suppress remove ": ":4\n",
		"who ": "abc\tEnterprise ABC", "new a": "abc\tEnterprise ABC", "who x": ":4\n", "who abc ": ":4\n",
		"suppress add ": "abc\tpage", "drill --channel ": "page\tpage", "drill --customer abc,": "abc,abc\tEnterprise ABC",
		"send --only ":           "internal\taudience\ncustomer\taudience\npublic\taudience\ncontacts\tlist of abc\npage\tpage",
		"send --only internal,p": "internal,public\taudience\ninternal,page\tpage",
		"preview --only con":     "contacts\tlist of abc", "who abc --status m": "monitoring", "new abc --severity ": "SEV1\nSEV2\nSEV3\nSEV4\nSEV5",
		"token new --role a": "author\nadmin", "help tok": "token\tMake, list and revoke tokens for the API",
	} {
		if got := offers(strings.Split(words, " ")...); got != want {
			t.Errorf("%q offers %q, want %q", words, got, want)
		}
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("it was\n%sand is\n%s", before, after)
	}
	cli(t, env, "send", "--yes", filepath.Join(dir, "update.md"), "--key", "the-first-key")
	cli(t, env, "suppress", "add", "gone", "--channel", "page", "--reason", "x")
	for words, want := range map[string]string{
		"retry ": "the-first-key\tEnterprise ABC SEV1", "cancel the": "the-first-key\tEnterprise ABC SEV1", "report ": "abc-20", "report the": "the-first-key\tEnterprise ABC SEV1", "suppress remove ": "gone\tpage",
		"send --incident ": "abc-20",
	} {
		if got := offers(strings.Split(words, " ")...); !strings.HasPrefix(got, want) {
			t.Errorf("%q offers %q, want %q", words, got, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "sitrep.yaml"), []byte("channels: [{\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := offers("who", ""); got != ":4\n" {
		t.Errorf("a broken configuration offers %q", got)
	}
	if err := os.Remove(filepath.Join(dir, "sitrep.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := offers("report", ""); got != ":4\n" {
		t.Errorf("no configuration offers %q", got)
	}
}
