package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/internal/pgtest"
	"sitrep/ledger"
	"sitrep/ledger/ledgertest"
	"sitrep/ledger/postgres"
	"sitrep/ledger/sqlite"
)

// childAddress makes the test binary hold a duty on a ledger until it is killed.
const childAddress = "SITREP_TEST_POSTGRES"

func TestMain(m *testing.M) {
	address := os.Getenv(childAddress)
	if address == "" {
		os.Exit(m.Run())
	}
	l, err := postgres.Open(context.Background(), address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	held, _, err := l.Hold(context.Background(), "remind")
	fmt.Printf("held: %v %v\n", held, err)
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
}

var at = time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC)

// small is the first update of an incident with one recipient.
func small(incident string) ledger.Acceptance {
	return ledger.Acceptance{
		Incident:   ledger.Incident{ID: incident, Customer: "abc", Started: at, Status: "investigating", Seq: 1, Updated: at},
		Update:     ledger.Update{Key: incident, Incident: incident, Customer: "abc", Seq: 1, Status: "investigating", At: at, Accepted: at},
		Renderings: []channels.Message{{Format: channels.FormatText, Text: "text"}},
		Deliveries: []ledger.Planned{{Key: incident + " 1", Channel: "mail", To: channels.Recipient{Address: "a@abc.example"}, Audience: "customer"}},
	}
}

// refused opens an address and expects an error that says all of want and nothing of
// the password.
func refused(t *testing.T, address, password string, want ...string) {
	t.Helper()
	start := time.Now()
	l, err := postgres.Open(t.Context(), address)
	if err == nil {
		t.Errorf("%v: it was opened", want)
		_ = l.Close()
		return
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("%v: it took %v", want, took)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q is not in: %v", w, err)
		}
	}
	if password != "" && strings.Contains(err.Error(), password) {
		t.Errorf("the password is in: %v", err)
	}
}

func TestOpenSaysWhy(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	refused(t, s.TCP(address, "geheim"), "geheim", "did not let us in", "PGPASSWORD", "28P01")
	refused(t, s.TCP("postgres:///nothing", s.Password), s.Password, "nothing on 127.0.0.1", "is not there", "createdb")
	refused(t, "postgres://sitrep:geheim@no-such-host.invalid/x", "geheim", "cannot be reached", "no-such-host.invalid")
	refused(t, "postgres://sitrep:geheim@127.0.0.1:1/x?sslmode=disable", "geheim", "cannot be reached", "refused", "127.0.0.1:1")
	for _, bad := range []string{
		"postgres://sitrep:geheim@host:port/x", "postgres://sitrep:gehe%im@host/x", "host=x password=geheim port=none", "geheim",
		"postgres://sitrep:geheim@host/x?sslmode=maybe", "postgres://sitrep:geheim@host/x?sslrootcert=/no/such/file&sslmode=verify-full",
		"postgres://u:p@h/x?pool_max_conns=geheim",
	} {
		refused(t, bad, "geheim", "write it as postgres://USER@HOST:PORT/DATABASE")
	}
	l, err := postgres.Open(t.Context(), s.TCP(address, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}

func TestServerThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	refused(t, "postgres://sitrep:geheim@"+l.Addr().String()+"/x?sslmode=disable&connect_timeout=1", "geheim", "cannot be reached", "does not answer")
}

func TestReadOnlyServer(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	refused(t, address+"&default_transaction_read_only=on", "", "can only be read", "not to a standby")
	l := open(t, address)
	name := l.Name()
	s.SQL(t, "postgres", "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	s.SQL(t, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+name+"'")
	if _, err := open(t, address).Accept(t.Context(), small("INC-1")); err == nil || !strings.Contains(err.Error(), "can only be read") {
		t.Errorf("accepted by a standby: %v", err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	name := open(t, address).Name()
	s.SQL(t, name, "INSERT INTO sitrep_schema (version_id, is_applied) VALUES (9999, true)")
	_, err := postgres.Open(t.Context(), address)
	if !errors.Is(err, postgres.ErrNewer) || !strings.Contains(err.Error(), "schema 9999") || !strings.Contains(err.Error(), name) {
		t.Errorf("a newer schema: %v", err)
	}
	s.SQL(t, name, "DELETE FROM sitrep_schema WHERE version_id = 9999")
	open(t, address)
}

// TestOlderSchemaIsBroughtUpToDate has a ledger with something in it, whose change feed
// triggers wrote.
func TestOlderSchemaIsBroughtUpToDate(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	if err := postgres.MigrateTo(t.Context(), address, 100); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s.SQL(t, strings.TrimPrefix(u.Path, "/"), `INSERT INTO incidents (id, customer, severity, started, status, seq, updated, next) VALUES ('INC-1','abc','',1,'investigating',1,1,0);
		INSERT INTO updates (key, incident, customer, severity, seq, status, at, accepted, next, title, override, source, planned, touched)
			VALUES ('INC-1',1,'abc','',1,'investigating',1,1,0,'','','',1,1);
		INSERT INTO renderings (upd, digest, format, subject, text, html) VALUES (1,'x','text','','text','');
		INSERT INTO unfinished (upd, incident, seq, pending) VALUES (1,1,1,1);
		INSERT INTO deliveries (id, incident, seq, rendering, accepted, due, expire, settled, outcome, channel, address, key, list, audience, name, locale, zone)
			VALUES (1<<24,1,1,1,1,1,1,0,'','mail','a@abc.example','old','','','','','');
		UPDATE deliveries SET attempts = 1, fault = 'unavailable'`)
	l := open(t, address)
	before, err := l.Changes(t.Context(), "", 10)
	if err != nil || len(before) != 2 || before[0].Delivery != "" || before[1].Delivery != "old" {
		t.Errorf("changes of before: %+v %v", before, err)
	}
	if _, err := l.Accept(t.Context(), small("INC-2")); err != nil {
		t.Fatal(err)
	}
	got, err := l.Claim(t.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "me", Now: at, Until: at.Add(time.Minute), Limit: 9})
	if err != nil || len(got.Claims) != 2 {
		t.Fatalf("claimed %+v: %v", got, err)
	}
	if _, err := l.Settle(t.Context(), []ledger.Settlement{done(got.Claims[0]), done(got.Claims[1])}); err != nil {
		t.Fatal(err)
	}
	after, err := l.Changes(t.Context(), before[1].Cursor, 10)
	if err != nil || len(after) != 3 || after[1].Delivery != "old" {
		t.Errorf("changes since: %+v %v", after, err)
	}
}

func TestOpenedByManyAtOnce(t *testing.T) {
	address := pgtest.Database(t)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			l, err := postgres.Open(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			defer l.Close()
			if _, err := l.Accept(t.Context(), small(fmt.Sprint("INC-", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := open(t, address).Incidents(t.Context(), ledger.IncidentQuery{})
	if len(all) != 6 || err != nil {
		t.Errorf("%d incidents (%v)", len(all), err)
	}
}

func TestServerStopsAndStarts(t *testing.T) {
	s := pgtest.Own(t)
	address := s.Database(t)
	l, other := open(t, s.TCP(address, s.Password)), open(t, address)
	wakes, err := other.Wakes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if held, _, err := l.Hold(t.Context(), "remind"); !held {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context(), small("INC-1")); err != nil {
		t.Fatal(err)
	}
	expect(t, wakes, "mail")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"Accept":    func() error { _, err := l.Accept(t.Context(), small("INC-2")); return err },
		"Incidents": func() error { _, err := l.Incidents(t.Context(), ledger.IncidentQuery{}); return err },
		"Hold":      func() error { _, _, err := l.Hold(t.Context(), "remind"); return err },
		"Wakes":     func() error { _, err := l.Wakes(t.Context()); return err },
	} {
		for range 2 { // on a connection that was open, and on a new one
			start := time.Now()
			err := call()
			if err == nil || strings.Contains(err.Error(), s.Password) || !strings.Contains(err.Error(), "try again") {
				t.Errorf("%s without a server: %v", name, err)
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("%s took %v", name, took)
			}
		}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	expect(t, wakes, "") // some may have been missed
	if got, err := l.Accept(t.Context(), small("INC-1")); err != nil || !got.Duplicate {
		t.Errorf("what was accepted before the server fell: %+v, %v", got, err)
	}
	if _, err := l.Accept(t.Context(), small("INC-3")); err != nil {
		t.Errorf("with the server back: %v", err)
	}
	expect(t, wakes, "mail")
	if held, _, err := l.Hold(t.Context(), "remind"); !held || err != nil {
		t.Errorf("the duty with the server back: %v, %v", held, err)
	}
}

func TestDutyIsLostWithItsSession(t *testing.T) {
	s := pgtest.Shared(t)
	address := pgtest.Database(t)
	l, other := open(t, address), open(t, address)
	if held, _, err := l.Hold(t.Context(), "remind"); !held {
		t.Fatal(err)
	}
	s.SQL(t, l.Name(), "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")
	if held, _, err := other.Hold(t.Context(), "remind"); !held || err != nil {
		t.Errorf("nobody has it, and it was not given: %v", err)
	}
	if held, _, err := l.Hold(t.Context(), "remind"); held || err != nil {
		t.Errorf("two hold a duty: %v", err)
	}
}

func TestDutyEndsWithTheProcess(t *testing.T) {
	address := pgtest.Database(t)
	l := open(t, address)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childAddress+"="+address)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held: true <nil>\n" {
		t.Errorf("the child says %q (%v)", line, err)
	}
	if held, _, err := l.Hold(t.Context(), "remind"); held || err != nil {
		t.Errorf("held while another process has it: %v, %v", held, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		held, _, err := l.Hold(t.Context(), "remind")
		if err != nil {
			t.Fatal(err)
		}
		if held {
			return
		}
		if time.Now().After(end) {
			t.Fatal("not held long after the other process was killed")
		}
	}
}

func TestMoveBetweenEngines(t *testing.T) {
	lite := func() *sqlite.Ledger {
		l, err := sqlite.Open(t.Context(), t.TempDir()+"/ledger.db")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	first := lite()
	ledgertest.Furnish(t, ledgertest.Store{Ledger: first})
	second := open(t, pgtest.Database(t))
	there, err := ledger.Move(t.Context(), first, second, at.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Same(t, first, second)
	third := lite()
	back, err := ledger.Move(t.Context(), second, third, at.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Same(t, first, third)
	if there != back || there.Deliveries == 0 {
		t.Errorf("moved there %+v, and back %+v", there, back)
	}
}
