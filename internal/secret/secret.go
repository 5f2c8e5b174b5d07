// Package secret has a string that does not print. A credential that is a
// [String] everywhere cannot reach a log, an error, a row or a page by accident:
// every way of formatting or encoding it yields "[secret]", and the one way to
// read it, Reveal, is easy to search for.
package secret

import (
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// String is a credential. Its zero value is no credential.
type String struct{ value string }

// New hides a value.
func New(value string) String { return String{value} }

// Reveal returns the value, for the place where it leaves the process.
func (s String) Reveal() string { return s.value }

// Empty reports whether there is no credential.
func (s String) Empty() bool { return s.value == "" }

// String is "[secret]", or empty if there is no credential.
func (s String) String() string {
	if s.Empty() {
		return ""
	}
	return hidden
}

// Format hides the value from every verb, %#v and %+v included.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue hides the value from slog.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON, YAML and the like.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value in, as a configuration decoder needs it.
func (s *String) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}
