package smtprig

import (
	"context"
	"net"
	"testing"
	"time"
)

// Faraway starts a proxy that makes target rtt away, without limiting what crosses: a
// group of commands pays for the way once. It runs until the test ends, and its address
// is returned.
func Faraway(t testing.TB, target string, rtt time.Duration) string {
	t.Helper()
	ln, err := listenFaraway(target, rtt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.Addr().String()
}

func listenFaraway(target string, rtt time.Duration) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			go carry(near, target, rtt)
		}
	}()
	return ln, nil
}

// carry is one connection. To open one takes a round trip, and the greeting comes half of
// one later.
func carry(near net.Conn, target string, rtt time.Duration) {
	time.Sleep(rtt + rtt/2)
	far, err := new(net.Dialer).DialContext(context.Background(), "tcp", target)
	if err != nil {
		_ = near.Close()
		return
	}
	go delay(far, near, rtt/2)
	delay(near, far, rtt/2)
}

// delay copies from src to dst, each piece d after it came, and closes both at the end.
func delay(dst, src net.Conn, d time.Duration) {
	type piece struct {
		due time.Time
		b   []byte
	}
	pieces := make(chan piece, 4096)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 32<<10)
			n, err := src.Read(b)
			if n > 0 {
				pieces <- piece{time.Now().Add(d), b[:n]}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := dst.Write(p.b); err != nil {
			break
		}
	}
	_ = dst.Close()
	_ = src.Close()
	for range pieces {
	}
}
