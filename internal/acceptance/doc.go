// Package acceptance tests the built program, from the outside, against software
// that this project did not write. It has no code but its tests.
//
//	What is tried                          Against                     Debian package
//	send by e-mail: STARTTLS, unknown,     Postfix, started here with  postfix (as root)
//	full and greylisted mailboxes,         a configuration, a queue
//	threading, what arrives in a mailbox,  and mailboxes of its own
//	a certificate nobody vouches for
//	one refused, one greylisted, one good  Postfix; where an answer    postfix
//	at once; 421 in mid-session; an        is lost, through a proxy
//	answer lost with its connection        that cuts connections
//	mail that is taken and then returned:  Postfix between us and an   postfix,
//	by SMTP, LMTP and IMAP; a forged       smtp-sink that refuses;     dovecot-imapd
//	report; suppression                    Dovecot
//	send to 10,000 recipients, each once;  smtp-sink                   postfix
//	a relay without TLS, one that hangs up
//	send --metrics-file, serve's /metrics  promtool check metrics      prometheus
//	every query of the dashboard, every    Prometheus, which scrapes   prometheus
//	rule, on what serve measures           serve with our rules
//	serve on a full and on a read-only     tmpfs and bind mounts       util-linux
//	disk
//	serve on a database that goes          PostgreSQL                  postgresql
//	read-only; three replicas, killed and
//	stopped
//	the status pages, preview --html, the  Chromium, through its       chromium
//	demo's pages: at 1280 and 375 pixels,  DevTools protocol; axe
//	light and dark, and without scripts
//	every mail: all statuses to all        Chromium and axe; the       chromium, and
//	audiences, awkward contents, at 700    linter of caniemail.com     nodejs, npm (run
//	and 320 pixels, light, dark, without                               .ci/mail/install)
//	style sheet, without pictures, as text
//
// Everything is tried through what a user has: command line, configuration file,
// exit code, --json, and what arrives at the other side. So it imports nothing of
// this module (but to read the ledger that replicas leave behind), and a mistake that
// our own fakes share with our own code is found.
//
// # Where a server is missing
//
// A plain `go test ./...` leaves out what it cannot try and says why, naming the
// package to install. With SITREP_REAL=require in the environment, as .ci/run sets
// it, a missing server is a failure: nothing can be left out there unnoticed.
//
// # Traffic
//
// Everything listens on 127.0.0.1, on ports that were free a moment before, and
// nothing looks up or reaches another machine: Postfix has no way to send mail on but
// to a port of this machine, and Chromium resolves no name.
//
// # Pictures
//
// With -artifacts (and -outputdir), go test keeps a picture of every page in every
// view, for a person to look at. `make screenshots` puts those of the mails side by
// side.
package acceptance
