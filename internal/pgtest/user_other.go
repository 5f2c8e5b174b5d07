//go:build !unix

package pgtest

import "syscall"

func give(string) error { return nil }

func notRoot() *syscall.SysProcAttr { return nil }
