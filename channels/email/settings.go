package email

import (
	"cmp"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"slices"
	"strings"
	"time"
)

// settings is a Config that was checked, with its defaults filled in.
type settings struct {
	Config
	endpoints []*endpoint // the preferred ones first
	from      party
	bounceTo  address          // zero: From's
	replyTo   party            // zero: none
	replyTos  map[string]party // by list
	signers   []signer
}

// party is a display name and an address.
type party struct {
	name string
	addr address
}

// check fills in the defaults and reports every mistake at once.
func (c Config) check() (settings, error) {
	s := settings{Config: c}
	err := errors.Join(
		s.checkParties(), s.checkNames(), s.checkNumbers(), s.checkUnsubscribe(), s.checkBounces(), s.checkDSN(), s.checkDKIM(), s.checkRelays(),
	)
	return s, err
}

func (s *settings) checkRelays() error {
	var errs []error
	if s.Host != "" && len(s.Relays) > 0 {
		errs = append(errs, errors.New("host: there are relays as well; make it one of them"))
	}
	relays, called := s.relays()
	for i, r := range relays {
		e, err := r.check(s)
		for _, err := range unjoin(err) {
			errs = append(errs, fmt.Errorf("%s%w", called[i], err))
		}
		s.endpoints = append(s.endpoints, e)
	}
	slices.SortStableFunc(s.endpoints, func(a, b *endpoint) int { return cmp.Compare(a.priority, b.priority) })
	return errors.Join(errs...)
}

// unjoin is the errors that errors.Join has joined, however often.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, unjoin(e)...)
	}
	return errs
}

// workers is how many attempts at a time fill every window of the relays that are used
// together.
func (s *settings) workers() int {
	most, sum := 0, 0
	for i, e := range s.endpoints {
		if i > 0 && e.priority != s.endpoints[i-1].priority {
			sum = 0
		}
		sum += e.maxSessions * e.window
		most = max(most, sum)
	}
	return min(most, mostWorkers)
}

// patience is how long a message may wait for a session: for one to be opened, and as
// long again as a relay may take for any one answer.
func (s *settings) patience() time.Duration { return s.ConnectTimeout + s.CommandTimeout }

// timeout is how long an attempt may take: all its patience, and afterwards each answer
// its time, the one after the message included.
func (s *settings) timeout() time.Duration {
	return s.patience() + s.CommandTimeout + s.SubmissionTimeout
}

// mostWorkers bounds the memory that attempts under way take.
const mostWorkers = 2000

func (s *settings) checkParties() error {
	var errs []error
	var err error
	if s.From == "" {
		errs = append(errs, errors.New(`from: missing; write an address, such as "Status <status@example.com>"`))
	} else if s.from, err = parseParty(s.From); err != nil {
		errs = append(errs, fmt.Errorf("from: %w", err))
	}
	if s.ReplyTo != "" {
		if s.replyTo, err = parseParty(s.ReplyTo); err != nil {
			errs = append(errs, fmt.Errorf("reply_to: %w", err))
		}
	}
	s.replyTos = make(map[string]party, len(s.ReplyToLists))
	for list, to := range s.ReplyToLists {
		if s.replyTos[list], err = parseParty(to); err != nil {
			errs = append(errs, fmt.Errorf("reply_to_lists: %s: %w", clean(list), err))
		}
	}
	return errors.Join(errs...)
}

// parseParty reads `Name <local@domain>` or a bare address.
func parseParty(s string) (party, error) {
	p, err := mail.ParseAddress(s)
	if err != nil {
		return party{}, fmt.Errorf(`%q is not an address like "Status <status@example.com>"`, s)
	}
	addr, err := parseAddress(p.Address)
	return party{name: clean(p.Name), addr: addr}, err
}

func (s *settings) checkNames() error {
	var errs []error
	if s.MessageIDDomain == "" {
		s.MessageIDDomain = s.from.addr.domain
	} else if d, err := hostName(s.MessageIDDomain); err != nil {
		errs = append(errs, fmt.Errorf("message_id_domain: %w", err))
	} else {
		s.MessageIDDomain = d
	}
	if s.Hello == "" {
		s.Hello = defaultHello(s.MessageIDDomain)
	} else if h, err := helloName(s.Hello); err != nil {
		errs = append(errs, fmt.Errorf("hello: %w", err))
	} else {
		s.Hello = h
	}
	return errors.Join(errs...)
}

// defaultHello is the machine's name if it can be one of RFC 5321 section 4.1.4,
// otherwise a domain that certainly exists.
func defaultHello(domain string) string {
	name, err := os.Hostname()
	if err != nil || !strings.Contains(name, ".") || strings.HasPrefix(name, "localhost.") {
		return domain
	}
	if ascii, err := hostName(name); err == nil {
		return ascii
	}
	return domain
}

// helloName checks a name for EHLO: a domain, or an address literal in brackets.
func helloName(s string) (string, error) {
	if isLiteral(s) {
		return s, nil
	}
	return hostName(s)
}

func (s *settings) checkNumbers() error {
	errs := []error{checkNumber("window", &s.Window, 20, 100)}
	for _, d := range []struct {
		key    string
		value  *time.Duration
		preset time.Duration
	}{
		{"idle_timeout", &s.IdleTimeout, 15 * time.Second},
		{"connect_timeout", &s.ConnectTimeout, 30 * time.Second},
		{"command_timeout", &s.CommandTimeout, 5 * time.Minute},
		{"submission_timeout", &s.SubmissionTimeout, 10 * time.Minute},
	} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative; write a duration such as 30s", d.key, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.preset
		}
	}
	return errors.Join(errs...)
}

func checkNumber(key string, value *int, preset, highest int) error {
	if *value < 0 || *value > highest {
		return fmt.Errorf("%s: %d is not between 1 and %d", key, *value, highest)
	}
	if *value == 0 {
		*value = preset
	}
	return nil
}
