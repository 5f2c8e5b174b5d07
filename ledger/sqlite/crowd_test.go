package sqlite_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// A crowd is an update whose recipients are written in chunks.
const (
	crowdChunk  = 25
	crowdChunks = 6
)

// crowd accepts one and writes it, and says how far it got.
func crowd(l *sqlite.Ledger, incident string, now time.Time) error {
	ctx := context.Background()
	err := l.PutRoster(ctx, incident, now, func(yield func([]byte) bool) {
		for n := range crowdChunks {
			if !yield([]byte(incident + fmt.Sprint(" ", n))) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	a := small(incident, 0)
	a.Update.Accepted, a.Deliveries = now, members(incident+" 0")
	a.Rest = &ledger.Rest{Roster: incident, Chunk: 1, Chunks: crowdChunks, Count: crowdChunk * (crowdChunks - 1)}
	if _, err := l.Accept(ctx, a); err != nil {
		return err
	}
	fmt.Printf("written|%s|%d\n", incident, crowdChunk)
	return writeAll(l, now, os.Stdout)
}

// members are the deliveries of a chunk, in which is the incident and its number.
func members(chunk string) []ledger.Planned {
	all := make([]ledger.Planned, crowdChunk)
	for i := range all {
		name := fmt.Sprint(chunk, " ", i)
		all[i] = ledger.Planned{Key: name, Channel: "mail", To: channels.Recipient{Address: name}}
	}
	return all
}

// writeAll writes all there is to write, and says so.
func writeAll(l *sqlite.Ledger, now time.Time, out io.Writer) error {
	ctx := context.Background()
	for {
		all, err := l.Expansions(ctx, "")
		if len(all) == 0 || err != nil {
			return err
		}
		e := all[0]
		chunk, err := l.RosterChunk(ctx, e.Roster, e.Chunk)
		if err != nil {
			return err
		}
		got, err := l.Expand(ctx, ledger.Expanded{Update: e.Update, Chunk: e.Chunk, Deliveries: members(string(chunk)), Count: crowdChunk, Now: now})
		if err != nil {
			return err
		}
		if got.Added != crowdChunk {
			return fmt.Errorf("chunk %d of %s: %d deliveries", e.Chunk, e.Update, got.Added)
		}
		fmt.Fprintf(out, "written|%s|%d\n", e.Update, crowdChunk*crowdChunks-got.Update.Unwritten)
	}
}

// compareCrowds checks that of every crowd there is what the children said was written,
// or more, and that what is there and what is to be written make the whole.
func compareCrowds(t *testing.T, l *sqlite.Ledger, written, there map[string]int) {
	t.Helper()
	all, err := l.Updates(t.Context(), ledger.UpdateQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		if strings.HasPrefix(u.Key, "CROWD") && there[u.Key]+u.Unwritten != crowdChunk*crowdChunks {
			t.Errorf("of %s there are %d deliveries, and %d are to be written", u.Key, there[u.Key], u.Unwritten)
		}
	}
	for key, n := range written {
		if there[key] < n {
			t.Errorf("of %s there are %d deliveries; %d had been written", key, there[key], n)
		}
	}
}
