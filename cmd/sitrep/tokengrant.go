package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"sitrep/config"
	"sitrep/server"
	"sitrep/server/client"
)

// grant is what a new token is to be, as the command line has it.
type grant struct {
	name, role string
	customers  []string
	expires    string
}

// mostOfAName is how long the name of a token may be, as the server has it.
const mostOfAName = 100

// read is the grant as the server takes it, or everything that is wrong with it, in the
// words of the command line.
func (g grant) read(now time.Time) (want server.Grant, wrong []string) {
	want = server.Grant{Name: g.name, Role: server.Role(g.role), Customers: g.customers}
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	refuse(strings.TrimSpace(g.name) == "" || strings.ContainsFunc(g.name, unicode.IsControl), "NAME: it must be printable text that says whose the token is, such as on-call or ci")
	refuse(len(g.name) > mostOfAName, "NAME: it has %d characters, and may have %d. Give the token a short one", len(g.name), mostOfAName)
	refuse(g.role == "", "--role is missing: write viewer, author or admin")
	refuse(g.role != "" && !slices.Contains(server.Roles(), want.Role), "--role: %q is no role: write viewer, author or admin", oneLine(g.role))
	refuse(len(g.customers) == 0, "--customer is missing: write the ids of the customers that it is for, or '*' for all")
	refuse(len(g.customers) > 1 && slices.Contains(g.customers, server.AllCustomers), "--customer: * is for all customers, so no ids go with it")
	if g.expires != "" {
		d, err := config.ParseDuration(g.expires)
		refuse(err != nil || d <= 0, "--expires: %q is not a length of time: write it like 90d", oneLine(g.expires))
		want.Expires = now.Add(d)
	}
	return want, wrong
}

// strangers are the customers that there are not.
func (g grant) strangers(known []string) (wrong []string) {
	for _, id := range g.customers {
		switch {
		case id == "":
			wrong = append(wrong, "--customer: an id is empty")
		case id != server.AllCustomers && !slices.Contains(known, id):
			wrong = append(wrong, fmt.Sprintf("--customer: there is no customer with the id %q. There are: %s", oneLine(id), strings.Join(known, ", ")))
		}
	}
	return wrong
}

// customerIDs are those that a token may be for.
func (a *app) customerIDs(ctx context.Context, r *remote) (all []string, err error) {
	if r != nil {
		of, err := r.parties(ctx)
		for _, p := range of {
			all = append(all, p.ID)
		}
		return all, a.explain(r, err)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	for _, p := range cfg.Customers {
		all = append(all, p.ID)
	}
	return all, nil
}

func notMade(wrong []string) error {
	return &coded{exitUsage, errors.New("no token was made\n  " + strings.Join(wrong, "\n  ") + "\nSee 'sitrep token new --help'")}
}

// inFlags is what a server refuses, in the words of the flags. What is left for it to
// find is that the caller's own token is for less than what is asked for.
func inFlags(err error) error {
	no, ok := errors.AsType[*client.Refused](err)
	if !ok || len(no.Problems) == 0 {
		return err
	}
	flags := map[string]string{"body.name": "NAME", "body.role": "--role", "body.customers": "--customer", "body.expires": "--expires"}
	var wrong []string
	for _, f := range no.Problems {
		what := strings.TrimSuffix(f.What, ".")
		if f.Where == "body.customers" {
			what = "your own token is not for all of these, so it cannot make one that is"
		}
		if flag := flags[f.Where]; flag != "" {
			what = flag + ": " + what
		}
		wrong = append(wrong, oneLine(what))
	}
	return notMade(wrong)
}
