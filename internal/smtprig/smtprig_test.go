package smtprig_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sitrep/internal/smtprig"
)

func TestMain(m *testing.M) {
	smtprig.Main()
	os.Exit(m.Run())
}

// say sends everything at once and returns the codes of the answers, which end with the
// connection.
func say(t *testing.T, addr, what string) (codes string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		codes += " " + lines.Text()[:3]
	}
	return strings.TrimSpace(codes)
}

func mailTo(who string) string {
	return "MAIL FROM:<a@b.example>\r\nRCPT TO:<" + who + ">\r\nDATA\r\n"
}

const body = "Subject: x\r\n\r\n..\r\n.\r\n"

// TestCounts: who got how many, and that a second one shows.
func TestCounts(t *testing.T) {
	s := (&smtprig.Sink{Pipelining: true, Chunking: true}).Start(t)
	chunk := "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 5 LAST\r\nhello"
	got := say(t, s.Addr(), "EHLO x\r\n"+mailTo("a@d.example")+body+mailTo("b@d.example")+body+chunk+"QUIT\r\n")
	if want := "220 250 250 250 250 250 250 250 354 250 250 250 354 250 250 250 250 221"; got != want {
		t.Errorf("it said %s, want %s", got, want)
	}
	s.Once(t, 3)
	if c := s.Counts(); c.Bytes != 2*(len(body)-3)+5 || c.Conns != 1 || c.Rcpts != 3 {
		t.Errorf("%+v", c)
	}
	say(t, s.Addr(), mailTo("a@d.example")+body+"QUIT\r\n")
	if c := s.Take(); c.Messages != 4 || c.Recipients != 3 {
		t.Errorf("a second message to somebody: %+v", c)
	}
	if c := s.Counts(); c != (smtprig.Counts{}) {
		t.Errorf("it did not begin anew: %+v", c)
	}
}

// TestStrict: what a relay allows, and what it says beyond.
func TestStrict(t *testing.T) {
	s := (&smtprig.Sink{MaxConns: 1, MaxPerConn: 2, RefuseEvery: 2}).Start(t)
	if got, want := say(t, s.Addr(), mailTo("a@d.example")+body+mailTo("b@d.example")+"RSET\r\n"+mailTo("b@d.example")+body+mailTo("c@d.example")),
		"220 250 250 354 250 250 451 554 250 250 250 354 250 421"; got != want {
		t.Errorf("it said %s, want %s", got, want)
	}
	s.Once(t, 2)
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if got := say(t, s.Addr(), ""); got != "421" {
		t.Errorf("a second connection was told %q", got)
	}
	if c := s.Counts(); c.TurnedAway != 1 || c.Most != 1 {
		t.Errorf("%+v", c)
	}
}

// TestApart: in a process of its own and far away, a group costs a round trip and each
// one that waits another.
func TestApart(t *testing.T) {
	const rtt = 40 * time.Millisecond
	a := (&smtprig.Sink{Pipelining: true}).Apart(t, rtt)
	began := time.Now()
	say(t, a.Addr, "EHLO x\r\n"+mailTo("a@d.example")+body+mailTo("b@d.example")+body+"QUIT\r\n")
	if took := time.Since(began); took < 2*rtt {
		t.Errorf("it took %s: to connect and to be answered takes two round trips of %s", took, rtt)
	}
	a.Take(t).Once(t, 2)
	if c := a.Take(t); c.Messages != 0 {
		t.Errorf("it did not begin anew: %+v", c)
	}
}

// TestOnceSees: one left out and one told twice are as many messages as there should be.
func TestOnceSees(t *testing.T) {
	for _, c := range []smtprig.Counts{{Messages: 2, Recipients: 1}, {Messages: 3, Recipients: 2}, {Messages: 1, Recipients: 1}} {
		var said recorder
		c.Once(&said, 2)
		if said == "" {
			t.Errorf("%+v passed for two recipients", c)
		}
	}
}

// recorder is a test that may fail.
type recorder string

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { *r = recorder(fmt.Sprintf(format, args...)) }
