package maildns

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// dmarcRecord is a policy (RFC 7489 section 6.3).
type dmarcRecord struct {
	policy, subdomains    string // none, quarantine or reject
	strictDKIM, strictSPF bool
	percent               int
	reports               bool // somebody is told (rua)
}

func isDMARC(txt string) bool {
	first, _, _ := strings.Cut(txt, ";")
	name, value, ok := strings.Cut(first, "=")
	return ok && strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1"
}

func parseDMARC(txt string) (dmarcRecord, error) {
	t, err := parseTags(txt)
	r := dmarcRecord{percent: 100}
	switch {
	case err != nil:
		return r, err
	case !isDMARC(txt):
		return r, errors.New("it does not begin with v=DMARC1")
	}
	policies := []string{"none", "quarantine", "reject"}
	r.policy = strings.ToLower(t.get("p", ""))
	if !slices.Contains(policies, r.policy) {
		return r, fmt.Errorf("p=%s is not a policy: write none, quarantine or reject", shorten(r.policy))
	}
	r.subdomains = strings.ToLower(t.get("sp", r.policy))
	if !slices.Contains(policies, r.subdomains) {
		return r, fmt.Errorf("sp=%s is not a policy: write none, quarantine or reject", shorten(r.subdomains))
	}
	for name, into := range map[string]*bool{"adkim": &r.strictDKIM, "aspf": &r.strictSPF} {
		switch strings.ToLower(t.get(name, "r")) {
		case "s":
			*into = true
		case "r":
		default:
			return r, fmt.Errorf("%s= must be r or s", name)
		}
	}
	if n, err := strconv.Atoi(t.get("pct", "100")); err != nil || n < 0 || n > 100 {
		return r, errors.New("pct= must be a number from 0 to 100")
	} else {
		r.percent = n
	}
	r.reports = t.get("rua", "") != ""
	return r, nil
}

// dmarc judges the policy for the From domain, and whether the mail would meet it.
func (c *check) dmarc() {
	from, org := c.mail.From, organisation(c.mail.From)
	name := "_dmarc." + from
	all, err := c.policies(name)
	if err == nil && len(all) == 0 && org != from {
		name = "_dmarc." + org
		all, err = c.policies(name)
	}
	if err != nil {
		c.trouble("DMARC", name, err)
		return
	}
	f := Finding{Subject: "DMARC", Name: name, Level: Wrong, Record: strings.Join(all, "\n"), Publish: zoneLine("_dmarc."+org, "v=DMARC1; p=none; rua=mailto:dmarc@"+org)}
	switch len(all) {
	case 0:
		f.What = "There is no DMARC record for " + from + ". Large receivers refuse much of the mail of domains without one."
		f.Remedy = "Publish one, with an address that somebody reads; p=none changes nothing yet. Then go on to quarantine or reject."
	case 1:
		r, err := parseDMARC(all[0])
		if err != nil {
			f.What, f.Remedy = "Receivers ignore the record: "+err.Error()+".", "Publish one that can be read."
			break
		}
		f.Publish = ""
		c.policy(&f, r, name == "_dmarc."+from)
		c.add(f)
		c.alignment(name, r)
		return
	default:
		f.What, f.Remedy, f.Publish = fmt.Sprintf("There are %d records, so receivers use none of them (RFC 7489 section 6.6.3).", len(all)), "Keep one.", zoneLine(name, all[0])
	}
	c.add(f)
	c.alignment(name, dmarcRecord{})
}

func (c *check) policies(name string) ([]string, error) {
	all, err := c.txt(name)
	return slices.DeleteFunc(all, func(s string) bool { return !isDMARC(s) }), err
}

// policy judges what receivers are asked to do.
func (c *check) policy(f *Finding, r dmarcRecord, own bool) {
	policy := r.policy
	if !own {
		policy = r.subdomains
	}
	f.Level, f.What = OK, "The policy is "+policy+"."
	switch {
	case policy == "none":
		f.Level, f.What = Note, "The policy is none: forgeries of "+c.mail.From+" are delivered like your own mail."
		f.Remedy = "Once the reports show that all your mail passes, go on to quarantine, then reject."
	case r.percent < 100:
		f.Level, f.What = Note, fmt.Sprintf("The policy is %s, for %d %% of what fails.", policy, r.percent)
		f.Remedy = "Take pct= out once the reports show that all your mail passes."
	case !r.reports:
		f.Level, f.What = Note, f.What+" Nobody is told of mail that fails (rua=)."
		f.Remedy = "Add rua=mailto: with an address that somebody reads."
	}
}

// alignment judges whether the mail passes DMARC: by its return path or by a signature.
func (c *check) alignment(name string, r dmarcRecord) {
	from, path := c.mail.From, c.mail.ReturnPath
	f := Finding{Subject: "DMARC", Name: name}
	bySPF, pathWords := aligned(path, from, r.strictSPF), fmt.Sprintf("the return path's domain %s is aligned with From (%s, %s)", path, from, mode(r.strictSPF))
	switch {
	case c.noSPF:
		bySPF, pathWords = false, "SPF does not work for the return path's domain "+path
	case !bySPF:
		pathWords = fmt.Sprintf("the return path's domain %s is not aligned with From (%s, %s)", path, from, mode(r.strictSPF))
	}
	byDKIM := slices.ContainsFunc(c.good, func(k Key) bool { return aligned(k.Domain, from, r.strictDKIM) })
	switch relaySigns := len(c.mail.Keys) == 0; {
	case bySPF && byDKIM:
		f.Level, f.What = OK, fmt.Sprintf("%s, and so is a signature (%s).", upper(pathWords), mode(r.strictDKIM))
	case byDKIM:
		f.Level, f.What = Note, fmt.Sprintf("%s; a signature is aligned (%s), so the mail passes by that alone.", upper(pathWords), mode(r.strictDKIM))
		f.Remedy = "Have mail return to an address of " + from + ", with an SPF record that works."
	case bySPF && relaySigns:
		f.Level, f.What = OK, upper(pathWords)+". Whether a signature is depends on the relay."
	case bySPF:
		f.Level, f.What = Note, upper(pathWords)+", and no signature is: mail that is forwarded fails."
		f.Remedy = "Mend what DKIM says above, and sign for " + from + "."
	case relaySigns:
		f.Level, f.What = Unknown, fmt.Sprintf("%s, so the mail passes only if the relay signs it for %s.", upper(pathWords), from)
		f.Remedy = "Look for d=" + from + " in DKIM-Signature of a mail that arrived, or have mail return to an address of " + from + "."
	default:
		f.Level, f.What = Wrong, fmt.Sprintf("%s, and no signature that verifies is for it (%s): the mail fails DMARC.", upper(pathWords), mode(r.strictDKIM))
		f.Remedy = "Sign for " + from + ", or have mail return to an address of it, with an SPF record that works."
	}
	c.add(f)
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func mode(strict bool) string {
	if strict {
		return "strict"
	}
	return "relaxed"
}
