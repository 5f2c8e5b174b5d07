package incident

import (
	"fmt"
	"strings"
	"time"
)

// Hours says a duration the way the team does: "9 hours", "1.5 hours",
// "45 minutes", "1 hour". Halves of hours are kept, anything finer is rounded to
// the half hour above two hours and to five minutes below.
func Hours(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	if d < time.Hour-2*time.Minute-30*time.Second {
		return plural(d.Round(minuteStep(d)).Minutes(), "minute")
	}
	if d < 2*time.Hour {
		d = d.Round(5 * time.Minute)
		if m := int(d.Minutes()) % 60; m != 0 && m != 30 {
			return fmt.Sprintf("%s %d minutes", plural(float64(int(d.Hours())), "hour"), m)
		}
	}
	return plural(d.Round(30*time.Minute).Hours(), "hour")
}

func minuteStep(d time.Duration) time.Duration {
	if d < 10*time.Minute {
		return time.Minute
	}
	return 5 * time.Minute
}

func plural(n float64, unit string) string {
	s := strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0")
	if s != "1" {
		unit += "s"
	}
	return s + " " + unit
}
