// Package smtprig is what mail is measured and tested against: a relay that costs next
// to nothing, a long way to it, and Postfix's own programs for both ends.
//
//	s := (&smtprig.Sink{Pipelining: true, RefuseEvery: 100}).Start(t)
//	address := smtprig.Faraway(t, s.Addr(), 20*time.Millisecond)
//
// A [Sink] takes every message, forgets it, and knows who got how many, so that a test
// can say that nobody was left out and nobody was told twice. It answers a group of
// commands with one write, as a real relay does.
//
// [Faraway] delays what crosses and does not limit it, so a group of commands pays for the
// way once. A server that thinks for as long before every answer is something else: it
// makes PIPELINING worth nothing.
//
// A sink in the process of the test shares its memory, its processors and its garbage
// collector, which is no way to measure. [Sink.Apart] starts it in a process of its own:
// the test's program again, whose TestMain begins with [Main].
//
// smtp-source and smtp-sink come with Postfix (Debian: postfix) and need no
// configuration. Where they are not installed, whoever asks for them is left out and
// says so; with SITREP_REAL=require in the environment it fails instead.
package smtprig
