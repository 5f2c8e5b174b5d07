package schemadoc

import (
	"reflect"
	"testing"
	"time"
)

// Sample is read back from this file.
type Sample struct {
	// Host and Port are where it is, see [Sample] and
	// the second line. A Host has a LongName.
	Host string `yaml:"host"`
	Port int    `yaml:"port"`

	LongName string `yaml:"long_name,omitempty"` // default 25

	Bare string
}

func TestComments(t *testing.T) {
	describe := Comments("sitrep", "../..")
	for field, want := range map[string]string{
		"Host":     "`host` and `port` are where it is, see Sample and the second line. A Host has a `long_name`.",
		"Port":     "`host` and `port` are where it is, see Sample and the second line. A Host has a `long_name`.",
		"LongName": "default 25", "Bare": "", "None": "",
	} {
		if got := describe(reflect.TypeFor[Sample](), field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	if got := describe(reflect.TypeFor[time.Time](), "wall"); got != "" {
		t.Errorf("a field of another module has the comment %q", got)
	}
}
