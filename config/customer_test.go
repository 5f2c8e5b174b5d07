package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"sitrep/config"
	"sitrep/incident"
)

const twoChannels = "channels: [{id: mail, kind: email}, {id: page, kind: page}]\n"

// people prints recipients for comparison.
func people(to []incident.Recipient) string {
	var out []string
	for _, r := range to {
		s := r.Channel + " " + r.Address
		for _, more := range []string{r.Name, r.Locale, r.Via} {
			s += "|" + more
		}
		if r.Zone != nil {
			s += "|" + r.Zone.String()
		}
		out = append(out, s)
	}
	return strings.Join(out, "\n")
}

func TestCustomers(t *testing.T) {
	c := load(t, "zone: Europe/Berlin\n"+twoChannels+`
customers:
  - id: abc
    name: Enterprise ABC
    public_name: a customer
    aliases: [ABC Corp, E-ABC]
    zone: America/New_York
    lists:
      - {id: execs, audience: internal, after: 1h, severities: [SEV1, sev-2, 3], statuses: [Identified, resolved], to: [{mail: ceo@example.com}]}
      - id: contacts
        audience: customer
        to:
          - {mail: ["Alice <alice@abc.example>", '"Ng, \"Bo\"" <bo@abc.example>', "<@U1>", plain, "a <b", -100123], page: [abc]}
          - {mail: {address: Carol <c@abc.example>, name: Carol Ng, locale: EN-gb, zone: Asia/Tokyo}}
  - {id: xyz, lists: [{id: l, audience: public, to: [{page: [public]}]}]}
`)
	p := c.Customers[0]
	if p.Name != "Enterprise ABC" || p.PublicName != "a customer" || fmt.Sprint(p.Aliases) != "[ABC Corp E-ABC]" ||
		p.Zone.String() != "America/New_York" || c.Customers[1].Zone.String() != "Europe/Berlin" {
		t.Errorf("got %+v", p)
	}
	l := p.Lists[0]
	if l.Audience != incident.Internal || l.After != time.Hour || fmt.Sprint(l.Severities, l.Statuses) != "[SEV1 SEV2 SEV3] [identified resolved]" {
		t.Errorf("got %+v", l)
	}
	want := `mail alice@abc.example|Alice||
mail bo@abc.example|Ng, "Bo"||
mail <@U1>|||
mail plain|||
mail a <b|||
mail -100123|||
page abc|||
mail c@abc.example|Carol Ng|en-GB||Asia/Tokyo`
	if got := people(p.Lists[1].To); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %v", w)
	}
}

func TestIncludesAndFiles(t *testing.T) {
	path := write(t, map[string]string{
		"abc.csv":  "\ufeffZone, Address ,name,locale,\r\n,a@abc.example,Alice,,\r\n\r\nEurope/Berlin,\"Bo <b@abc.example>\",,de,note\r\n,,,\r\n,#room\r\n,a@abc.example\r\n",
		"de.csv":   "address;name\nc@abc.example;Ng, Carol\n",
		"none.csv": "address\n",
		"sitrep.yaml": twoChannels + `
customers:
  - id: abc
    lists:
      - {id: all, audience: public, include: [contacts, more, contacts], to: [{mail: [x@abc.example, c@abc.example]}]}
      - {id: contacts, audience: customer, to: [{mail: {file: abc.csv}}]}
      - {id: more, audience: internal, include: [contacts2], to: [{mail: [{file: de.csv}, {file: none.csv}, y@abc.example]}]}
      - {id: contacts2, audience: internal, to: [{mail: [z@abc.example]}]}
`,
	})
	c, err := config.Load(path, []string{"HOME=/home/x"})
	if err != nil {
		t.Fatal(err)
	}
	want := `mail x@abc.example|||
mail c@abc.example|||
mail a@abc.example|Alice||contacts, abc.csv
mail b@abc.example|Bo|de|contacts, abc.csv|Europe/Berlin
mail #room|||contacts, abc.csv
mail y@abc.example|||more
mail z@abc.example|||contacts2`
	if got := people(c.Customers[0].Lists[0].To); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := people(c.Customers[0].Lists[2].To), `mail c@abc.example|Ng, Carol||de.csv
mail y@abc.example|||
mail z@abc.example|||contacts2`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	dir := filepath.Dir(path)
	wantWarnings := dir + "/abc.csv:7: `a@abc.example` is on this list twice, first in " + dir + "/abc.csv:2. It is told once; remove one.\n" +
		dir + "/none.csv:1: The file has no recipients. Add a row for each."
	if got := config.Lines(c.Warnings()); got != wantWarnings {
		t.Errorf("got\n%s\nwant\n%s", got, wantWarnings)
	}
}

// Whoever is to be told by contract is marked, however they came onto the list.
func TestRequired(t *testing.T) {
	path := write(t, map[string]string{
		"l.csv": "address,required\na@x.example,yes\nb@x.example,\nc@x.example,TRUE\nd@x.example,0\n",
		"sitrep.yaml": twoChannels + `
customers:
  - id: x
    lists:
      - {id: l, audience: customer, to: [{mail: [{file: l.csv}, {address: e@x.example, required: "${MUST}"}, {address: f@x.example, required: false}]}]}
      - {id: m, audience: customer, include: [l], to: [{mail: [a@x.example, d@x.example, g@x.example]}]}
`,
	})
	c, err := config.Load(path, []string{"MUST=true"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a c e", "a c e"} {
		var got []string
		for _, r := range c.Customers[0].Lists[i].To {
			if r.Required {
				got = append(got, r.Address[:1])
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("list %d: %v, want %s", i, got, want)
		}
	}
	for entry, want := range map[string]string{
		"{address: a, required: maybe}":       "`required` must be true or false, not `maybe`.",
		"{address: a, required: }":            "`required` has no value.",
		"{file: l.csv, required: true}":       "`required` have no meaning beside `file`.",
		"{address: a, requird: true}":         "Did you mean `required`?",
		"{address: a, required: [x]}":         "`required` must be true or false, not a list",
		"{address: a, required: \"${GONE}\"}": "no variable GONE",
	} {
		_, err := config.Parse(path, []byte(twoChannels+"customers: [{id: x, lists: [{id: l, audience: internal, to: [{mail: ["+entry+"]}]}]}]"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

func TestCSVMistakes(t *testing.T) {
	for name, c := range map[string]struct{ csv, want string }{
		"empty":     {"", ":1: The file is empty. The first row names the columns: address,name,locale,zone,required."},
		"no header": {"a@abc.example,Alice\n", ":1: There is no column `address`."},
		"twice":     {"address,Address\n", ":1: The column `address` is there twice."},
		"unknown":   {"address,tz\n", ":1: `tz` is not a column. Known are address, name, locale, zone, required."},
		"encoding":  {"address\na\xff\n", ":2: The line is not UTF-8 text."},
		"locale":    {"address,locale\n\na,123456789\n", ":3: `locale` must be a language tag, and `123456789` is none."},
		"zone":      {"address,zone\na,Eastern\n", ":2: `zone` must be a time zone, and `Eastern` is none. Did you mean `America/New_York`?"},
		"required":  {"address,required\na,perhaps\n", ":2: `required` must be yes or no, not `perhaps`. Write true or false; empty is false."},
		"quotes":    {"address\n\"a\n", ":2: This is not CSV: extraneous or missing \" in quoted-field."},
		"rows":      {"address\n" + strings.Repeat("a\n", 100_001), ":1: The file has more than 100000 recipients."},
		"columns":   {"address\na,b\n", ":2: The row has 2 fields, and there are 1 columns."},
		"long":      {"address\n" + strings.Repeat("# comment\n", 2<<20), "l.csv is too large."},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, map[string]string{
				"l.csv":       c.csv,
				"sitrep.yaml": twoChannels + "customers: [{id: x, lists: [{id: l, audience: internal, to: [{mail: {file: l.csv}}]}]}]",
			})
			if _, err := config.Load(path, []string{"HOME=/home/x"}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant …%s…", err, c.want)
			}
		})
	}
}

// Names and addresses are single lines, wherever they stand. What stands around them is
// no part of them.
func TestControlCharacters(t *testing.T) {
	path := write(t, map[string]string{
		"l.csv": "address,name,locale\n\"a@abc.example\nBcc: x\",Alice,\nb@abc.example,\"B\x1b[2J\",de\n\tc@abc.example\t,C, \n\"Da\tve <d@abc.example>\",,\n",
		"sitrep.yaml": `channels: [{id: mail, kind: email}, {id: page, kind: page}]
customers:
  - id: abc
    name: "Enterprise\r\nABC"
    public_name: "a\u2028b"
    aliases: [fine, "E\0A"]
    lists:
      - id: l
        audience: customer
        to:
          - mail: ["bob@abc.example\r\nBcc: eve@abc.example", "Bob\n <bob@abc.example>"]
          - mail: [{address: "bob@abc.example\n", name: Bob}, {address: bo@abc.example, name: "Bo\rb"}, "${TAB}", {file: l.csv}]
          - {page: "p\x7f"}
`,
	})
	dir := filepath.Dir(path)
	c, err := config.Load(path, []string{"TAB=a\tb@abc.example"})
	if err == nil {
		t.Fatal("it passes")
	}
	const says, without = " must be one line of plain text, and ", " in it. Write it without.\n"
	want := strings.ReplaceAll(
		"l.csv:2: `address`"+says+"`a@abc.example�Bcc: x` has a line break"+without+
			"l.csv:4: `name`"+says+"`B�[2J` has the control character U+001B"+without+
			"l.csv:6: `address`"+says+"`Da�ve <d@abc.example>` has a tab"+without+
			"sitrep.yaml:4:11: `name`"+says+"`Enterprise��ABC` has a line break"+without+
			"sitrep.yaml:5:18: `public_name`"+says+"`a�b` has a line break"+without+
			"sitrep.yaml:6:21: `aliases`"+says+"`E�A` has the control character U+0000"+without+
			"sitrep.yaml:11:20: `address`"+says+"`bob@abc.example��Bcc: eve@abc.example` has a line break"+without+
			"sitrep.yaml:11:63: `address`"+says+"`Bob� <bob@abc.example>` has a line break"+without+
			"sitrep.yaml:12:30: `address`"+says+"`bob@abc.example�` has a line break"+without+
			"sitrep.yaml:12:95: `name`"+says+"`Bo�b` has a line break"+without+
			"sitrep.yaml:12:105: `address`"+says+"`${TAB}` has a tab"+without+
			"sitrep.yaml:13:20: `address`"+says+"`p�` has the control character U+007F"+without,
		"\n", "\n"+dir+"/")
	if got, want := c.Check(checks()).Error()+"\n", dir+"/"+strings.TrimSuffix(want, dir+"/"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := people(c.Customers[0].Lists[0].To); got != "mail bo@abc.example|||\nmail c@abc.example|C||l.csv" {
		t.Errorf("these are left:\n%s", got)
	}
}

// A page shows everything that was sent to it to everybody who looks at it.
func TestPagesAreNotShared(t *testing.T) {
	list := func(audience, page string) string {
		return "{id: l-" + audience + page + ", audience: " + audience + ", to: [{page: [" + page + "]}]}"
	}
	for name, c := range map[string]struct{ first, second, want string }{
		"own":           {list("customer", "a") + "," + list("public", "b"), list("customer", "c"), ""},
		"public shared": {list("public", "a"), list("public", "a"), ""},
		"audiences":     {list("customer", "a") + "," + list("public", "a"), list("customer", "c"), "The page a is for the audience public here and for customer in line 2."},
		"customers":     {list("customer", "a"), list("customer", "a"), "The page a is for another customer in line 2."},
		"across":        {list("public", "a"), list("customer", "a"), "The page a is for the audience customer here and for public in line 2."},
		"by include":    {list("internal", "a") + ",{id: p, audience: public, include: [l-internala]}", list("customer", "c"), "The page a is for the audience public here and for internal in line 2."},
	} {
		t.Run(name, func(t *testing.T) {
			src := twoChannels + "customers: [{id: x, lists: [" + c.first + "]}, {id: y, lists: [" + c.second + "]}]"
			_, err := config.Parse("f.yaml", []byte(src), []string{"HOME=/home/x"})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestTheExample(t *testing.T) {
	env := []string{"MATTERMOST_TOKEN=x", "MATTERMOST_WEBHOOK=https://chat.example.com/hooks/x", "SMTP_PASSWORD=x", "HOME=/home/x"}
	src, err := os.ReadFile("../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables(string(src)) {
		env = append(env, v+"=https://example.com/"+v)
	}
	c, err := config.Load("../config.example.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("warnings:\n%s", config.Lines(w))
	}
	if len(c.Channels) < 4 || len(c.Customers) != 2 {
		t.Errorf("%d channels, %d customers", len(c.Channels), len(c.Customers))
	}
	for _, key := range config.Keys() {
		if !strings.Contains(string(src), key+":") {
			t.Errorf("`%s` is not documented in the example", key)
		}
	}
}

// variables are the ${NAME}s of a text.
func variables(src string) []string {
	var out []string
	for _, part := range strings.Split(src, "${")[1:] {
		name, _, _ := strings.Cut(part, "}")
		out = append(out, name)
	}
	return out
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("address,name,locale,zone\na@b.example,A,de,Europe/Berlin\n"))
	f.Add([]byte("\ufeffaddress;zone\r\n\"A \"\"B\"\" <a@b.example>\";UTC\r\n;;;\r\n"))
	f.Add([]byte("name\n\"x"))
	f.Add([]byte("address,name\n\"a@b.example\r\nBcc: x\",\"A\x00\u2028\"\n\"A\tB <a@b.example>\"\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		addresses, err := config.ReadCSV(src)
		for _, a := range addresses {
			if strings.TrimSpace(a) == "" || strings.ContainsFunc(a, unicode.IsControl) || strings.ContainsAny(a, "\u2028\u2029") {
				t.Errorf("the address %q", a)
			}
		}
		if err == nil {
			return
		}
		es, ok := errors.AsType[*config.Errors](err)
		if !ok {
			t.Fatalf("got %T", err)
		}
		for _, p := range es.Problems {
			if p.Line == 0 || strings.ContainsAny(p.String(), "\n\x00\x1b") {
				t.Errorf("a bad problem: %+v", p)
			}
		}
	})
}

// The short form, as a newcomer writes it.
func TestTheShortForm(t *testing.T) {
	path := write(t, map[string]string{"abc.csv": "address\ndave@abc.example\n", "sitrep.yaml": `
channels:
  - {id: chat, kind: mattermost, url: https://chat.example.com, token_file: /run/secrets/mm}
  - {id: mail, kind: email, host: smtp.example.com:587, from: "Status <status@example.com>"}
  - {id: page, kind: page}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    aliases: [ABC]
    zone: America/New_York
    lists:
      - {id: war-room, audience: internal, to: [{chat: [sev1-abc]}]}
      - {id: executives, audience: internal, after: 1h, severities: [SEV1], to: [{mail: [ceo@example.com]}]}
      - {id: contacts, audience: customer, to: [{mail: ["Alice <alice@abc.example>"]}, {mail: {file: abc.csv}}, {page: [abc]}]}
      - {id: public, audience: public, to: [{page: [public]}]}
`})
	c, err := config.Load(path, []string{"HOME=/home/x"})
	if err != nil || len(c.Warnings()) > 0 {
		t.Fatal(err, c.Warnings())
	}
	if to := c.Customers[0].Lists[2].To; len(to) != 3 || to[1].Address != "dave@abc.example" || to[2].Channel != "page" {
		t.Errorf("got %+v", to)
	}
}
