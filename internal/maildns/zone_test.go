package maildns_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"sitrep/internal/maildns"
)

// zone is a DNS server of our own: records as zone files have them. A name with the
// record "SERVFAIL" does not answer.
type zone map[string][]dns.RR

func serveZone(t testing.TB, text string) *net.Resolver {
	t.Helper()
	z, broken := zone{}, map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if name, fails := strings.CutSuffix(line, " SERVFAIL"); fails {
			broken[name] = true
			continue
		}
		if line == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil || rr == nil {
			t.Fatalf("%s: %v", line, err)
		}
		name := strings.ToLower(rr.Header().Name)
		z[name] = append(z[name], rr)
	}
	udp, tcp := samePort(t)
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true // otherwise an answer without records is taken for somebody else's to give
		name := strings.ToLower(q.Question[0].Name)
		all, known := z[name]
		switch {
		case broken[name]:
			m.Rcode = dns.RcodeServerFailure
		case !known:
			m.Rcode = dns.RcodeNameError
		}
		for _, rr := range all {
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if _, isUDP := w.LocalAddr().(*net.UDPAddr); isUDP {
			m.Truncate(512)
		}
		_ = w.WriteMsg(m) // whoever asked may have gone
	})
	var running sync.WaitGroup
	for _, srv := range []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		running.Go(func() { _ = srv.ActivateAndServe() })
		<-started
		t.Cleanup(func() { _ = srv.Shutdown() })
	}
	t.Cleanup(func() { _ = udp.Close(); _ = tcp.Close() })
	return maildns.At(udp.LocalAddr().String())
}

// samePort is a free port of UDP whose TCP is free too.
func samePort(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var l net.ListenConfig
	for range 50 {
		udp, err := l.ListenPacket(t.Context(), "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := l.Listen(t.Context(), "tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		_ = udp.Close() // somebody else has its TCP
	}
	t.Fatal("no port is free")
	return nil, nil
}
