package sqlite_test

import "syscall"

// becomeNobody has the thread open files as user 65534 does, though it is root's.
func becomeNobody() error { return syscall.Setfsuid(65534) }
