package server

import (
	"net"
	"os/user"
	"strconv"
	"syscall"
)

// peer is who opened the other end of a Unix socket, as the kernel says
// (SO_PEERCRED, unix(7)): a user's name, or their number.
func peer(c *net.UnixConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return "unknown"
	}
	name := "unknown"
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err != nil {
			return
		}
		name = strconv.FormatUint(uint64(cred.Uid), 10)
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
	})
	if err != nil {
		return "unknown"
	}
	return name
}
