//go:build unix

package pgtest

import (
	"os"
	osuser "os/user"
	"strconv"
	"syscall"
)

// nobody is whom the server runs as when we are root: the ids of the user postgres,
// or nobody. Of anybody else both are -1: the server runs as ourselves.
func nobody() (uid, gid int) {
	if os.Geteuid() != 0 {
		return -1, -1
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, badUID := strconv.Atoi(u.Uid)
		gid, badGID := strconv.Atoi(u.Gid)
		if badUID == nil && badGID == nil {
			return uid, gid
		}
	}
	return -1, -1
}

// give makes the server's user the owner of a path.
func give(path string) error {
	uid, gid := nobody()
	if uid < 0 {
		return nil
	}
	return os.Chown(path, uid, gid)
}

// notRoot starts a program as the server's user, out of reach of the terminal's
// Ctrl-C: the watcher ends it when the tests are over.
func notRoot() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if uid, gid := nobody(); uid >= 0 {
		a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return a
}
