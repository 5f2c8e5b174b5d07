package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/internal/metrics"
)

// TestExemplarsOfABurst has many deliveries at the same moment: the first is an
// exemplar, the next is one a while later, and a slow one always is.
func TestExemplarsOfABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := metrics.New(options())
		settle := func(delivery string, age time.Duration) {
			m.Settled("abc", "mail", "SEV1", "delivered", delivery, age)
		}
		for i := range 100 {
			settle(fmt.Sprint("burst", i), 40*time.Millisecond)
		}
		if got, want := exemplarsOf(m, "sitrep_delivery_latency_seconds"), []string{"burst0"}; !slices.Equal(got, want) {
			t.Errorf("of a burst %v, want %v", got, want)
		}
		settle("slow", 3*time.Second)
		if got, want := exemplarsOf(m, "sitrep_delivery_latency_seconds"), []string{"burst0", "slow"}; !slices.Equal(got, want) {
			t.Errorf("with a slow one %v, want %v", got, want)
		}
		time.Sleep(10 * time.Millisecond)
		settle("later", 40*time.Millisecond)
		if got, want := exemplarsOf(m, "sitrep_delivery_latency_seconds"), []string{"later", "slow"}; !slices.Equal(got, want) {
			t.Errorf("after a while %v, want %v", got, want)
		}
		m.Attempt("mail", "tried", "", 40*time.Millisecond)
		if got, want := exemplarsOf(m, "sitrep_delivery_attempt_duration_seconds"), []string{"tried"}; !slices.Equal(got, want) {
			t.Errorf("of attempts %v, want %v: they have their own", got, want)
		}
	})
}

// exemplarsOf are the deliveries that a histogram leads to, in the order of its buckets.
func exemplarsOf(m *metrics.Metrics, histogram string) []string {
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	var all []string
	for _, found := range regexp.MustCompile(histogram+`_bucket\{.*# \{delivery="([^"]*)"\}`).FindAllStringSubmatch(w.Body.String(), -1) {
		all = append(all, found[1])
	}
	return all
}
