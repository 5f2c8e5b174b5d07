package dispatcher_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/mattermost"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/internal/metrics"
	"sitrep/internal/secret"
	"sitrep/ledger/sqlite"
	"sitrep/renderers"
)

// BenchmarkWebhooks posts one update to 2,000 rooms by the incoming webhook, whole path,
// ledger included. The yardstick is net/http with keep-alive, as many requests at a time
// and the same body, before and after each of ours in the same run. The whole path is to
// reach 0.75 of it.
func BenchmarkWebhooks(b *testing.B) {
	h := newHooks(b, 0)
	d := h.dispatcher(b, 8, 2000)
	h.run(b, d, 0, 2000) // warm, and a sample of the body
	var ratios []float64
	for i := 1; b.Loop(); i++ {
		before := h.bare(b, 8, 2000)
		ours := h.run(b, d, i, 2000)
		ratios = append(ratios, (before+h.bare(b, 8, 2000)).Seconds()/2/ours.Seconds())
	}
	b.ReportMetric(median(ratios), "×net/http")
	b.ReportMetric(0, "ns/op") // it would be both together
}

// BenchmarkWebhooksSlowServer posts to a server that takes 50 ms for each request, 64 at
// a time. The bound is 64 posts every 50 ms, of which it is to reach 0.9, and the number
// of connections is to be that of the workers.
func BenchmarkWebhooksSlowServer(b *testing.B) {
	const workers, takes, posts = 64, 50 * time.Millisecond, 1920
	h := newHooks(b, takes)
	d := h.dispatcher(b, workers, posts)
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		bound := takes * posts / workers
		ratios = append(ratios, bound.Seconds()/h.run(b, d, i, posts).Seconds())
	}
	b.ReportMetric(median(ratios), "×bound")
	b.ReportMetric(float64(h.connections.Load()), "connections")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkHangingChannel posts to 2,000 rooms alone, then while another channel of the
// same update hangs on every request, and compares the two.
func BenchmarkHangingChannel(b *testing.B) {
	h := newHooks(b, 0)
	alone := h.dispatcher(b, 8, 2000)
	hanging := h.dispatcher(b, 8, 2000, dispatcher.Lane{
		ID: "hangs", Kind: "x", Timeout: time.Hour, Workers: 8, Channel: newRemote(hangs),
	})
	h.run(b, alone, 0, 2000)
	var ratios []float64
	for i := 1; b.Loop(); i++ {
		before := h.run(b, alone, 2*i, 2000)
		beside := h.run(b, hanging, 2*i, 2000)
		after := h.run(b, alone, 2*i+1, 2000)
		ratios = append(ratios, (before+after).Seconds()/2/beside.Seconds())
	}
	b.ReportMetric(median(ratios), "×alone")
	b.ReportMetric(0, "ns/op")
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}

// hooks is a chat's webhook that counts what it is given.
type hooks struct {
	*httptest.Server
	taken, connections atomic.Int64
	full               chan struct{} // told when taken reaches want
	want               atomic.Int64
	body               atomic.Pointer[[]byte] // the latest
}

func newHooks(b *testing.B, takes time.Duration) *hooks {
	b.Helper()
	h := &hooks{full: make(chan struct{}, 1)}
	h.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // a benchmark was cut short
		}
		if takes > 0 {
			time.Sleep(takes)
		}
		h.body.Store(&body)
		_, _ = io.WriteString(w, "ok")
		if h.taken.Add(1) == h.want.Load() {
			h.full <- struct{}{}
		}
	}))
	h.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			h.connections.Add(1)
		}
	}
	h.Start()
	b.Cleanup(h.Close)
	return h
}

// dispatcher is one with a ledger of its own that tells so many rooms, and some by each
// of the other lanes.
func (h *hooks) dispatcher(b *testing.B, workers, rooms int, others ...dispatcher.Lane) *dispatcher.Dispatcher {
	b.Helper()
	chat, err := mattermost.New(func(v any) error {
		*v.(*mattermost.Config) = mattermost.Config{Webhook: secret.New(h.URL + "/hooks/abcdefghijklmnopqrstuvwxyz")}
		return nil
	}, channels.Env{ID: "chat"})
	if err != nil {
		b.Fatal(err)
	}
	l, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "sitrep.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	lanes := append([]dispatcher.Lane{{ID: "chat", Kind: "mattermost", Channel: chat, Workers: workers}}, others...)
	list := incident.List{ID: "team", Audience: incident.Internal}
	for n, lane := range lanes {
		of := rooms
		if n > 0 {
			of = 64 // enough to keep every worker busy for good
		}
		for i := range of {
			list.To = append(list.To, incident.Recipient{Channel: lane.ID, Address: fmt.Sprintf("room-%d", i)})
		}
	}
	d, err := dispatcher.New(dispatcher.Options{
		Ledger: l, Renderers: renderers.Builtin(), Lanes: lanes, Grace: time.Millisecond,
		Parties: []incident.Party{{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{list}}},
		Record:  metrics.New(metrics.Options{Customers: []string{"abc"}, Channels: []string{"chat"}}),
	})
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// run is the whole path once: from the text to the last post.
func (h *hooks) run(b *testing.B, d *dispatcher.Dispatcher, n, posts int) time.Duration {
	b.Helper()
	h.taken.Store(0)
	h.want.Store(int64(posts))
	ctx, stop := context.WithCancel(b.Context())
	var worked sync.WaitGroup
	began := time.Now()
	p, err := d.Prepare(ctx, dispatcher.Submission{Source: []byte(text), Incident: fmt.Sprintf("INC-%d", n), Key: fmt.Sprintf("key-%d", n)})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.Publish(ctx, p); err != nil {
		b.Fatal(err)
	}
	worked.Go(func() { _ = d.Work(ctx, dispatcher.Scope{Incident: fmt.Sprintf("INC-%d", n)}) })
	<-h.full
	took := time.Since(began)
	stop()
	worked.Wait()
	return took
}

// bare posts the same body as often, so many at a time, with nothing around net/http.
func (h *hooks) bare(b *testing.B, workers, posts int) time.Duration {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: workers, MaxConnsPerHost: workers}}
	defer client.CloseIdleConnections()
	h.want.Store(0)
	body := *h.body.Load()
	var next atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range workers {
		all.Go(func() {
			for next.Add(1) <= int64(posts) {
				if err := barePost(client, h.URL, body); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func barePost(client *http.Client, url string, body []byte) error {
	resp, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return err
}
