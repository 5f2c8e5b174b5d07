package sqlite_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// damages are what may have become of a pack in the file.
var damages = map[string]string{
	"content cut short":       "UPDATE pack_contents SET payload = substr(payload, 1, length(payload) - 1) WHERE first = 1",
	"content of nothing":      "UPDATE pack_contents SET payload = x'' WHERE first = 1",
	"content of another one":  "UPDATE pack_contents SET payload = (SELECT payload FROM pack_contents WHERE first > 1) WHERE first = 1",
	"no content":              "DELETE FROM pack_contents WHERE first = 1",
	"content of zeros":        "UPDATE pack_contents SET payload = zeroblob(100000) WHERE first = 1",
	"a newer version":         "UPDATE pack_contents SET payload = CAST(x'02' || substr(payload, 2) AS BLOB) WHERE first = 1",
	"entry of a newer kind":   "INSERT INTO pack_log (pack, payload) VALUES (1, x'09')",
	"entry of a place beyond": "INSERT INTO pack_log (pack, payload) VALUES (1, x'037f')",
	"entry of nothing":        "INSERT INTO pack_log (pack, payload) VALUES (1, x'')",
}

// TestPackDamaged damages one of two packs: whoever needs that one hears what to do, and
// all else goes on. Another handle does not remember the pack, and reads the file.
func TestPackDamaged(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir() + "/ledger.db"
			maker, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			maker.PackFrom(2)
			p := packer{t, maker, path}
			p.accept(small("INC-1", 10))
			other := small("INC-2", 15)
			for i := range other.Deliveries {
				other.Deliveries[i].Channel = "chat"
			}
			p.accept(other)
			p.inPacks(2)
			do(t, raw(t, path), damage)
			damaged(t, path)
			if err := maker.Close(); err == nil || !saysWhatToDo(err, path) {
				t.Errorf("closed: %v", err)
			}
		})
	}
}

// saysWhatToDo reports whether an error names the file, what it has and what helps.
func saysWhatToDo(err error, path string) bool {
	return strings.Contains(err.Error(), "damaged") && strings.Contains(err.Error(), "backup") && strings.Contains(err.Error(), path)
}

func damaged(t *testing.T, path string) {
	t.Helper()
	l, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.PackFrom(2)
	q := packer{t, l, path}
	for i := range 2 {
		_, err := l.Claim(t.Context(), ledger.ClaimRequest{Channel: "mail", Owner: "me", Now: at, Until: at.Add(time.Minute), Limit: 5})
		if err == nil || !saysWhatToDo(err, path) {
			t.Errorf("claimed: %v", err)
		}
		got, err := l.Claim(t.Context(), ledger.ClaimRequest{Channel: "chat", Owner: "me", Now: at, Until: at.Add(time.Minute), Limit: 5})
		if err != nil || len(got.Claims) != 5 {
			t.Errorf("%d of another channel are claimed (%v)", len(got.Claims), err)
		}
		if n := q.deliver(got.Claims, at); n != 5 {
			t.Errorf("%d are settled", n)
		}
		a := small(fmt.Sprint("INC-1", i), 5)
		for i := range a.Deliveries {
			a.Deliveries[i].Channel = "fax"
		}
		q.accept(a)
	}
	_, err = l.Tally(t.Context(), ledger.DeliveryQuery{})
	if err == nil || !saysWhatToDo(err, path) {
		t.Errorf("counted: %v", err)
	}
	if all, err := l.Updates(t.Context(), ledger.UpdateQuery{}); err != nil || len(all) != 4 {
		t.Errorf("%d updates (%v)", len(all), err)
	}
	// What can be written out is, in the end; what cannot stays as it is.
	if err := l.Close(); err != nil {
		t.Errorf("it made none of those that cannot be read, and says: %v", err)
	}
	var packs, rows int
	db := raw(t, path)
	for q, into := range map[string]*int{"SELECT count(*) FROM packs": &packs, "SELECT count(*) FROM deliveries WHERE channel IN ('chat', 'fax')": &rows} {
		if err := db.QueryRow(q).Scan(into); err != nil {
			t.Fatal(err)
		}
	}
	if packs != 1 || rows != 25 {
		t.Errorf("%d packs, and %d rows of the others, want 1 and 25", packs, rows)
	}
	closeRaw(t, db)
}

func closeRaw(t testing.TB, db *sql.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
