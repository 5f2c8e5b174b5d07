package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sitrep/bounces"
)

// listener is one address and what serves it.
type listener struct {
	net.Listener
	http *http.Server
	tls  bool
	mail *bounces.Listener // instead of http
}

// listen opens every address, or none.
func (d *daemon) listen(ctx context.Context) (all []*listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range all {
				err = errors.Join(err, l.Close())
			}
			all = nil
		}
	}()
	var certs *certificate
	s := d.started.Serve
	if s.CertFile != "" {
		if certs, err = loadCertificate("serve", s.CertFile, s.KeyFile, d.log); err != nil {
			return nil, &coded{exitConfig, err}
		}
	}
	for _, address := range s.Listen {
		l, err := d.open(ctx, address)
		if err != nil {
			return all, err
		}
		l.http = d.server.HTTP()
		if certs != nil && l.Addr().Network() == "tcp" {
			l.tls = true
			l.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certs.get}
		}
		d.log.Info("listening", "address", l.Addr().String(), "network", l.Addr().Network(), "tls", l.tls)
		all = append(all, l)
	}
	if l, err := d.listenForMail(ctx); err != nil {
		return all, err
	} else if l != nil {
		all = append(all, l)
	}
	return all, nil
}

func (d *daemon) open(ctx context.Context, address string) (*listener, error) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return openSocket(ctx, path)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w. Choose another address in serve.listen or with --listen", address, err)
	}
	return &listener{Listener: l}, nil
}

// openSocket makes a socket that its owner and group may use. What is left of a
// process that died is removed; one that is in use is not.
func openSocket(ctx context.Context, path string) (*listener, error) {
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on unix:%s: another process does. Stop it, or choose another path", path), c.Close())
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("cannot listen on unix:%s: %w", path, err)
		}
	}
	// Until it has its mode, nobody else is to get at it: it is made in a directory
	// of its own.
	dir, err := os.MkdirTemp(filepath.Dir(path), ".sitrep-")
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix:%s: %w. Make its directory, writable by this user", path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // empty by then
	draft := filepath.Join(dir, "s")
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", draft)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix:%s: %w", path, err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	err = os.Chmod(draft, 0o660) //nolint:gosec // the group is who may send without a token
	if err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on unix:%s: %w", path, err), l.Close())
	}
	return &listener{Listener: &socket{Listener: l, path: path}}, nil
}

// socket removes its file when it is closed.
type socket struct {
	net.Listener
	path string
	once sync.Once
}

func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

func (s *socket) Close() (err error) {
	s.once.Do(func() { err = errors.Join(s.Listener.Close(), os.Remove(s.path)) })
	return err
}

// serve returns why it ended; nil after close.
func (l *listener) serve() error {
	if l.mail != nil {
		return l.mail.Serve(l.Listener)
	}
	var err error
	if l.tls {
		err = l.http.ServeTLS(l.Listener, "", "")
	} else {
		err = l.http.Serve(l.Listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// close lets requests under way end until ctx is done.
func (l *listener) close(ctx context.Context) {
	if l.mail != nil {
		_ = l.mail.Shutdown(ctx) // whoever was cut off comes again
		return
	}
	if l.http.Shutdown(ctx) != nil {
		_ = l.http.Close() // whoever still holds a connection is cut off
	}
}

// certificate is read again when its files change, at most once a second and only
// when somebody connects. Until both fit together the old one stays in use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	stamp  [2]os.FileInfo
	looked time.Time
}

func loadCertificate(stanza, certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("%s.tls_cert_file and tls_key_file: %w", stanza, err)
	}
	return c, nil
}

// load is called with mu held, or before anybody knows c.
func (c *certificate) load() error {
	stamp, err := c.stat()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.now, c.stamp = &pair, stamp
	return nil
}

func (c *certificate) stat() (stamp [2]os.FileInfo, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if stamp[i], err = os.Stat(name); err != nil {
			return stamp, err
		}
	}
	return stamp, nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= time.Second {
		c.looked = now
		if c.changed() {
			if err := c.load(); err != nil {
				c.log.Error("the new TLS certificate cannot be used; the one before it stays in use", "error", err)
			} else {
				c.log.Info("the TLS certificate is reloaded", "file", c.certFile)
			}
		}
	}
	return c.now, nil
}

func (c *certificate) changed() bool {
	stamp, err := c.stat()
	if err != nil {
		return false // it is being replaced
	}
	for i := range stamp {
		if !os.SameFile(stamp[i], c.stamp[i]) || !stamp[i].ModTime().Equal(c.stamp[i].ModTime()) || stamp[i].Size() != c.stamp[i].Size() {
			return true
		}
	}
	return false
}

// say tells systemd, if it has started us with Type=notify (sd_notify(3)).
func (d *daemon) say(state string) {
	path := d.a.getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = c.Write([]byte(state))
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		d.log.Warn("systemd could not be told", "state", state, "error", err)
	}
}
