package acceptance_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/internal/pgtest"
)

// BenchmarkServe has a running `sitrep serve` tell so many rooms by webhook and reports,
// as medians over the updates: the time from the request to the first post and to the
// last, per delivery; and how much more memory the process ever held than before.
//
// The yardstick of the cost per delivery is the smallest size in the same run.
func BenchmarkServe(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchServe(b, newScene(b, "", n)) })
	}
}

// BenchmarkServePostgres is the same on PostgreSQL.
func BenchmarkServePostgres(b *testing.B) {
	for _, n := range sizes {
		b.Run(strconv.Itoa(n), func(b *testing.B) { benchServe(b, newScene(b, pgtest.Database(b), n)) })
	}
}

var sizes = []int{100, 1000, 10_000, 100_000}

func benchServe(b *testing.B, s *scene) {
	time.Sleep(5 * time.Second) // it gives back what reading the configuration took
	idle := s.memory(b, "VmRSS")
	s.forgetPeak(b)
	s.tell(b, 0) // warm
	var first, each []float64
	for n := 1; b.Loop(); n++ {
		f, all := s.tell(b, n)
		first = append(first, f.Seconds()*1000)
		each = append(each, all.Seconds()*1e6/float64(s.rooms))
	}
	b.ReportMetric(median(first), "ms-to-first")
	b.ReportMetric(median(each), "µs/delivery")
	b.ReportMetric(float64(s.memory(b, "VmHWM")-idle)/1024, "MiB-above-idle")
	b.ReportMetric(float64(idle)/1024, "MiB-idle")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkServeIdle reports what share of one processor a serve uses that has nothing
// to do, over ten seconds.
func BenchmarkServeIdle(b *testing.B) {
	s := newScene(b, "", 100)
	s.tell(b, 0)
	time.Sleep(2 * time.Second) // what followed the start and the update is over
	var of []float64
	for b.Loop() {
		before := s.cpu(b)
		time.Sleep(10 * time.Second)
		of = append(of, (s.cpu(b)-before).Seconds()*10)
	}
	b.ReportMetric(median(of), "%cpu")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// scene is a serve and the chat it posts to.
type scene struct {
	served
	api         *http.Client
	rooms       int64
	taken       atomic.Int64
	first, last chan time.Time
}

// newScene starts one on a PostgreSQL database, or on SQLite if dsn is empty.
func newScene(b *testing.B, dsn string, rooms int) *scene {
	b.Helper()
	s := &scene{rooms: int64(rooms), first: make(chan time.Time, 1), last: make(chan time.Time, 1)}
	chat := httptest.NewServer(s)
	b.Cleanup(chat.Close)
	ledger := ""
	if dsn != "" {
		ledger = "ledger_file: dsn"
	}
	h := newHome(b, ledger+fmt.Sprintf(`
serve: {log_level: error}
channels: [{id: chat, kind: mattermost, webhook: %q, workers: 8}]
customers:
  - id: abc
    name: Enterprise ABC
    lists: [{id: everybody, audience: internal, to: [{chat: {file: rooms.csv}}]}]
`, chat.URL+"/hooks/abcdefghijklmnopqrstuvwxyz"))
	var csv strings.Builder
	csv.WriteString("address\n")
	for i := range rooms {
		fmt.Fprintf(&csv, "room-%d\n", i)
	}
	h.write(b, "rooms.csv", csv.String())
	h.write(b, "dsn", dsn)
	s.served = h.daemon(b, nil)
	socket := h.path("s.sock")
	s.api = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	return s
}

func (s *scene) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	_, _ = io.WriteString(w, "ok")
	switch s.taken.Add(1) {
	case 1:
		s.first <- time.Now()
	case s.rooms:
		s.last <- time.Now()
	}
}

// tell hands in one update and waits until everybody has it.
func (s *scene) tell(b *testing.B, n int) (first, last time.Duration) {
	b.Helper()
	s.taken.Store(0)
	text := fmt.Sprintf("---\nincident: INC-%d\n---\n### Enterprise ABC SEV1 outage\n\n#### Status: Identified\n\n#### Incident Time: 1 hour\n\n"+
		"Sign-in fails.\n\n#### Customer Impact\n\nNobody can sign in.\n\n#### Next Update\n\nin 1 hour\n", n)
	began := time.Now()
	resp, err := s.api.Post("http://sitrep/api/v1/updates", "text/markdown", bytes.NewReader([]byte(text)))
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusAccepted {
		b.Fatalf("%s: %s\n%s", resp.Status, said, s.log)
	}
	for _, c := range []struct {
		at   <-chan time.Time
		took *time.Duration
	}{{s.first, &first}, {s.last, &last}} {
		select {
		case at := <-c.at:
			*c.took = at.Sub(began)
		case <-time.After(5 * time.Minute):
			b.Fatalf("after %d of %d posts no more came\n%s", s.taken.Load(), s.rooms, s.log)
		}
	}
	return first, last
}

// memory is a figure of the process' in KiB: VmRSS now, VmHWM the most there ever was.
func (s *scene) memory(b *testing.B, name string) int {
	b.Helper()
	for line := range strings.Lines(s.proc(b, "status")) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	b.Fatalf("the process has no %s", name)
	return 0
}

// forgetPeak makes VmHWM begin anew (proc(5), clear_refs).
func (s *scene) forgetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// cpu is the time that the process has used so far.
func (s *scene) cpu(b *testing.B) time.Duration {
	b.Helper()
	var total time.Duration
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range tasks {
		ns, err := strconv.ParseInt(strings.Fields(s.proc(b, "task/"+t.Name()+"/schedstat"))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ns)
	}
	return total
}

func (s *scene) proc(b *testing.B, name string) string {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name))
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}
