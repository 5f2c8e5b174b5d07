package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) duration(n *yaml.Node, key string, v reflect.Value) {
	s, ok := d.text(n, key)
	if !ok {
		return
	}
	took, err := ParseDuration(s)
	if err != nil {
		d.problem(at(n), quoted(key)+" must be a length of time, not "+shown(n)+".", "Write a number with its unit: 45s, 90m, 4h, 2d or 1h30m.")
		return
	}
	v.SetInt(int64(took))
}

// ParseDuration reads a length of time as people write it: Go's "1h30m", and days
// ("2d", "1d12h"). A number without a unit is an error, but for 0.
func ParseDuration(s string) (time.Duration, error) {
	rest, days := strings.TrimSpace(s), 0
	if n, after, ok := strings.Cut(rest, "d"); ok {
		var err error
		if days, err = strconv.Atoi(n); err != nil || days < 0 || days > 10_000 {
			return 0, fmt.Errorf("%q is not a length of time", s)
		}
		if rest = after; rest == "" {
			rest = "0"
		}
	}
	took, err := time.ParseDuration(rest)
	if err != nil || (days > 0 && took < 0) {
		return 0, fmt.Errorf("%q is not a length of time", s)
	}
	return time.Duration(days)*24*time.Hour + took, nil
}
