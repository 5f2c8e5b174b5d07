package sqlite_test

import (
	"errors"
	"path/filepath"
	"testing"

	"sitrep/ledger"
)

// TestPackReadOnly reads a file with packs through handles that write nothing, while
// somebody has it open and as a process that died has left it.
func TestPackReadOnly(t *testing.T) {
	path := newFile(t)
	p := openPacker(t, path)
	p.accept(small("INC-1", 30))
	p.accept(small("INC-2", 20))
	p.deliver(p.claim("me", at, 12), at)
	p.inPacks(2)
	ro := readOnly(t, path)
	all, err := ro.Updates(t.Context(), ledger.UpdateQuery{})
	if err != nil || len(all) != 2 || all[0].Unwritten != 19 || all[1].Unwritten != 29 {
		t.Errorf("unwritten are %+v (%v)", all, err)
	}
	if n := count(t, ro); n != 2 {
		t.Errorf("%d deliveries are read, want the last of each pack", n)
	}
	for _, err := range ro.Export(t.Context(), at.AddDate(1, 0, 0)) {
		if !errors.Is(err, ledger.ErrUnderWay) {
			t.Errorf("exported: %v", err)
		}
	}
	if _, err := ro.Tally(t.Context(), ledger.DeliveryQuery{}); err != nil {
		t.Error(err)
	}
	if _, err := ro.Changes(t.Context(), "", 10); err != nil {
		t.Error(err)
	}
	if _, err := ro.Delivery(t.Context(), "INC-1 0"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("one in a pack: %v", err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := ro.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	p.inPacks(2)
	if n := packsInFile(t, path); n != 2 {
		t.Errorf("%d packs, want 2: it has written", n)
	}
	if n := count(t, open(t, backup)); n != 50 {
		t.Errorf("the backup has %d deliveries", n)
	}
	if all, err := p.Updates(t.Context(), ledger.UpdateQuery{}); err != nil || all[0].Unwritten+all[1].Unwritten != 0 {
		t.Errorf("on a handle that writes they are %+v (%v)", all, err)
	}
}
