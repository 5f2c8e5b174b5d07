package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// packsRound, and a number, makes the child work large updates.
const packsRound = "packs "

// workPacks is that child: it works large updates until it is killed, and says what it has
// done.
func workPacks(l *sqlite.Ledger, n int) error {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	now := at.Add(time.Duration(n) * time.Hour)
	for i := 0; ; i++ {
		a := small(fmt.Sprint("INC-", n, "-", i), 64+r.IntN(200))
		a.Update.Accepted = now
		if _, err := l.Accept(context.Background(), a); err != nil {
			return err
		}
		fmt.Printf("accepted|%s|%d\n", a.Update.Key, len(a.Deliveries))
		for range 4 {
			if err := burst(l, r, fmt.Sprint("owner ", n), now); err != nil {
				return err
			}
		}
	}
}

// burst claims some or many and settles most of them.
func burst(l *sqlite.Ledger, r *rand.Rand, owner string, now time.Time) error {
	limit := []int{1, 5, 30, 300}[r.IntN(4)]
	got, err := l.Claim(context.Background(), ledger.ClaimRequest{Channel: "mail", Owner: owner, Now: now, Until: now.Add(time.Minute), Limit: limit})
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, c := range got.Claims {
		fmt.Fprintf(&b, "claimed|%s|%d\n", c.Key, c.Attempt)
	}
	fmt.Print(b.String())
	b.Reset()
	var all []ledger.Settlement
	for _, c := range got.Claims {
		switch n := r.IntN(20); {
		case n == 0:
			all = append(all, again(c, now))
		case n > 2:
			all = append(all, arrived(c, now))
		}
	}
	verdicts, err := l.Settle(context.Background(), all)
	for i, v := range verdicts {
		fmt.Fprintf(&b, "settled|%d|%s|%d|%v\n", all[i].ID, all[i].Outcome, all[i].Attempt, v.Applied)
	}
	fmt.Print(b.String())
	return err
}

// TestPackKill kills a process in the middle of large updates. Whatever it said it had
// done is there, and what it had begun is interrupted.
func TestPackKill(t *testing.T) {
	path := t.TempDir() + "/ledger.db"
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	accepted, begun, over := map[string]int{}, map[string]int{}, map[string]bool{}
	const rounds = 5
	for round := range rounds {
		killOne(t, path, packsRound+strconv.Itoa(round), 100+r.IntN(2000), func(line string) {
			f := strings.Split(line, "|")
			switch f[0] {
			case "accepted":
				accepted[f[1]], _ = strconv.Atoi(f[2])
			case "claimed":
				n, _ := strconv.Atoi(f[2])
				if n != begun[f[1]]+1 && n != begun[f[1]]+2 { // one that it had no time to speak of
					t.Errorf("%s is claimed as attempt %d after %d", f[1], n, begun[f[1]])
				}
				begun[f[1]] = n
			case "settled":
				if f[4] != "true" {
					t.Errorf("%v was not applied", f)
				}
				over[f[1]] = over[f[1]] || f[2] == "delivered"
			default:
				t.Errorf("the child said %q", line)
			}
		})
		sound(t, path)
	}
	if len(accepted) < rounds {
		t.Errorf("only %d updates were accepted: the test proves nothing", len(accepted))
	}
	comparePacks(t, path, accepted, begun, over)
	sound(t, path)
}

func comparePacks(t *testing.T, path string, accepted, begun map[string]int, over map[string]bool) {
	t.Helper()
	p := openPacker(t, path)
	before := p.listed()
	now := at.AddDate(0, 0, 1)
	last := map[string]int{}
	for claims := p.claim("last", now, 400); len(claims) > 0; claims = p.claim("last", now, 400) {
		for _, c := range claims {
			d := before[c.Key]
			last[c.Key] = c.Attempt
			if over[fmt.Sprint(c.ID)] {
				t.Errorf("%s was delivered, and is claimed", c.Key)
			}
			if d.Leased != c.Interrupted && !(c.Interrupted && d.Attempts > 0) {
				t.Errorf("%s was under way: %v, and is claimed as %+v", c.Key, d.Leased, c)
			}
		}
		if n := p.deliver(claims, now); n != len(claims) {
			t.Errorf("%d of %d are settled", n, len(claims))
		}
	}
	there := map[string]int{}
	for key, d := range p.listed() {
		there[d.Update]++
		if d.Outcome != ledger.Delivered || d.Attempts < begun[key] || last[key] != 0 && d.Attempts != last[key] {
			t.Errorf("%s was begun %d times and claimed again as %d, and is %+v", key, begun[key], last[key], d)
		}
	}
	for key, n := range accepted {
		if there[key] != n {
			t.Errorf("of %s there are %d deliveries, want %d", key, there[key], n)
		}
	}
}
