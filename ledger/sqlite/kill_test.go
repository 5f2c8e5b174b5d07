package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

const (
	childPath  = "SITREP_TEST_LEDGER"
	childRound = "SITREP_TEST_ROUND"
)

// TestMain is the child of TestKill where it is started as such.
func TestMain(m *testing.M) {
	path := os.Getenv(childPath)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := child(path, os.Getenv(childRound)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child accepts, claims and settles until it is killed, and says so on standard
// output after each call that succeeded. Every round is an hour after the one
// before, so that the leases of the killed are over.
func child(path, round string) error {
	switch round {
	case dutyRound:
		return holdForEver(path)
	case limitRound:
		return growAgainstALimit(path)
	case groupRound:
		return growTogether(path)
	}
	number, packed := strings.CutPrefix(round, packsRound)
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	l, err := sqlite.Open(context.Background(), path)
	if err != nil {
		return err
	}
	if packed {
		return workPacks(l, n)
	}
	now := at.Add(time.Duration(n) * time.Hour)
	for i := 0; ; i++ {
		a := small(fmt.Sprintf("INC-%d-%d", n, i), 1+i*37%150)
		a.Update.Accepted = now
		if _, err := l.Accept(context.Background(), a); err != nil {
			return err
		}
		fmt.Printf("accepted|%s|%d\n", a.Update.Key, len(a.Deliveries))
		if err := crowd(l, fmt.Sprintf("CROWD-%d-%d", n, i), now); err != nil {
			return err
		}
		if err := turn(l, round, now); err != nil {
			return err
		}
	}
}

func turn(l *sqlite.Ledger, owner string, now time.Time) error {
	got, err := l.Claim(context.Background(), ledger.ClaimRequest{Channel: "mail", Owner: owner, Now: now, Until: now.Add(time.Minute), Limit: 60})
	if err != nil {
		return err
	}
	all := make([]ledger.Settlement, len(got.Claims))
	for i, c := range got.Claims {
		all[i] = ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Started: now, Ended: now, Outcome: ledger.Delivered}
		if i%5 == 0 {
			all[i].Outcome, all[i].Due, all[i].Fault, all[i].Detail = ledger.Pending, now.Add(time.Minute), channels.Unavailable, "no"
		}
	}
	verdicts, err := l.Settle(context.Background(), all)
	if err != nil {
		return err
	}
	for i, v := range verdicts {
		fmt.Printf("settled|%s|%s|%d|%v\n", got.Claims[i].Key, v.Outcome, got.Claims[i].Attempt, v.Applied)
	}
	return nil
}

// TestKill kills a process that works the ledger at random moments and checks that
// the file is whole and that everything it was told had happened is there.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	said := &account{accepted: map[string]int{}, written: map[string]int{}, settled: map[string]settled{}}
	const rounds = 8
	for round := range rounds {
		killOne(t, path, strconv.Itoa(round), 1+random.IntN(400), func(line string) { said.hear(t, line) })
		inspect(t, path)
		said.compare(t, path)
	}
	if len(said.accepted) < rounds/2 {
		t.Errorf("only %d updates were accepted: the test proves nothing", len(said.accepted))
	}
	finishAll(t, path, rounds)
}

// killOne starts a child and kills it once it has said so many things, each of which is
// heard.
func killOne(t *testing.T, path, round string, lines int, hear func(line string)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path, childRound+"="+round)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		hear(strings.TrimSuffix(line, "\n"))
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("round %s: the child ended by itself: %v", round, err)
	}
}

// account is what the children said had happened.
type account struct {
	accepted map[string]int
	written  map[string]int // the least that there is of a crowd
	settled  map[string]settled
}

type settled struct {
	outcome ledger.Outcome
	attempt int
}

func (a *account) hear(t *testing.T, line string) {
	t.Helper()
	f := strings.Split(line, "|")
	switch {
	case f[0] == "written" && len(f) == 3:
		a.written[f[1]], _ = strconv.Atoi(f[2])
	case f[0] == "accepted" && len(f) == 3:
		a.accepted[f[1]], _ = strconv.Atoi(f[2])
	case f[0] == "settled" && len(f) == 5 && f[4] == "true":
		n, _ := strconv.Atoi(f[3])
		a.settled[f[1]] = settled{ledger.Outcome(f[2]), n}
	default:
		t.Errorf("the child said %q", line)
	}
}

func (a *account) compare(t *testing.T, path string) {
	t.Helper()
	l := open(t, path)
	there := map[string]int{}
	for d, err := range l.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		there[d.Update]++
		want, ok := a.settled[d.Key]
		// A settlement after the last that we heard of may be there too.
		later := d.Attempts > want.attempt
		if ok && !later && (d.Outcome != want.outcome || d.Attempts != want.attempt) {
			t.Errorf("%s has outcome %q after %d attempts, and was settled as %+v", d.Key, d.Outcome, d.Attempts, want)
		}
	}
	for key, n := range a.accepted {
		if there[key] != n {
			t.Errorf("%d deliveries of the accepted update %s are there, want %d", there[key], key, n)
		}
	}
	compareCrowds(t, l, a.written, there)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// inspect asks the file itself, before we touch it.
func inspect(t testing.TB, path string) {
	t.Helper()
	db := raw(t, path)
	for query, want := range map[string]string{
		"PRAGMA integrity_check":                                    "ok",
		"SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'": "0",
		"SELECT count(*) FROM pragma_foreign_key_check":             "0",
		`SELECT count(*) FROM updates u WHERE pending <> (SELECT count(*) FROM deliveries d WHERE d.upd = u.n AND d.outcome = '') + (SELECT count(*) FROM expansions x WHERE x.upd = u.n)
			+ coalesce((SELECT sum(p.count - p.settled) FROM packs p WHERE p.upd = u.n), 0)`: "0",
		"SELECT count(*) FROM expansions x WHERE (SELECT count(*) FROM roster_chunks c WHERE c.digest = x.roster) <> chunks OR chunk >= chunks OR remaining < 0": "0",
		"SELECT count(*) FROM deliveries WHERE upd NOT IN (SELECT n FROM updates) OR rendering NOT IN (SELECT id FROM renderings)":                               "0",
		"SELECT count(*) FROM updates u WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.upd = u.n AND d.id NOT BETWEEN u.first AND u.last)":                     "0",
		"SELECT count(*) FROM leases WHERE id NOT IN (SELECT id FROM deliveries WHERE outcome = '')":                                                             "0",
		"SELECT count(*) FROM deliveries d WHERE attempts > 0 AND outcome = '' AND NOT EXISTS (SELECT 1 FROM attempts WHERE delivery = d.id)":                    "0",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", query, got, err, want)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// finishAll delivers what is left. Whatever was leased when a child died says that it
// was interrupted, and so does its record.
func finishAll(t *testing.T, path string, round int) {
	t.Helper()
	l := open(t, path)
	if err := writeAll(l, at, io.Discard); err != nil {
		t.Fatal(err)
	}
	leased := map[string]bool{}
	for d, err := range l.Deliveries(t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		leased[d.Key] = d.Leased
	}
	now := at.Add(time.Duration(round) * time.Hour)
	for {
		got, err := l.Claim(t.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "last", Now: now, Until: now.Add(time.Minute), Limit: 500})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Claims) == 0 {
			break
		}
		var all []ledger.Settlement
		for _, c := range got.Claims {
			if leased[c.Key] && !c.Interrupted {
				t.Errorf("%s was under way when its process died, and says nothing of it", c.Key)
			}
			all = append(all, ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered, Started: now, Ended: now})
		}
		if _, err := l.Settle(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	left, err := l.Tally(t.Context(), ledger.DeliveryQuery{Outcomes: []ledger.Outcome{ledger.Pending}})
	if err != nil || len(left) > 0 {
		t.Errorf("left pending: %+v (%v)", left, err)
	}
}
