package acceptance_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// dovecot is a running Dovecot of our own, which serves one Maildir by IMAP: its
// configuration, sockets and state are in a temporary folder.
type dovecot struct {
	dir, port string
	user      string
	password  string
}

// dovecotConf is dovecot.conf. Everybody who knows the password reads MAILDIR.
const dovecotConf = `protocols = imap
listen = 127.0.0.1
base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/dovecot.log
ssl = required
ssl_cert = <DIR/cert.pem
ssl_key = <DIR/key.pem
ssl_min_protocol = TLSv1.2
mail_location = maildir:MAILDIR
first_valid_uid = 1
first_valid_gid = 1
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    address = 127.0.0.1
    port = PORT
    ssl = yes
  }
  chroot =
}
service stats {
  chroot =
}
passdb {
  driver = static
  args = password=PASSWORD
}
userdb {
  driver = static
  args = uid=NOBODY gid=NOGROUP home=DIR/home
}
`

// startDovecot starts one for a Maildir of the user nobody. Its certificate is for
// localhost.
func startDovecot(t *testing.T, maildir string, ca authority) dovecot {
	t.Helper()
	program := need(t, "dovecot", "dovecot-imapd")
	if os.Geteuid() != 0 {
		missing(t, "Dovecot serves another user's mail only as root")
	}
	d := dovecot{dir: dovecotDir(t), port: freePort(t), user: "bounces", password: "not-a-secret-at-all"}
	cert, key := ca.issue(t, "localhost")
	conf := strings.NewReplacer("DIR", d.dir, "MAILDIR", maildir, "PORT", d.port, "PASSWORD", d.password,
		"NOBODY", strconv.Itoa(id(t, "nobody")), "NOGROUP", groupOf(t, "nobody")).Replace(dovecotConf)
	for name, content := range map[string]string{"dovecot.conf": conf, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-F", "-c", filepath.Join(d.dir, "dovecot.conf"))
	out := &said{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // if it has not ended
		_ = cmd.Wait()                       // it was stopped
		if log, _ := os.ReadFile(filepath.Join(d.dir, "dovecot.log")); t.Failed() {
			t.Logf("Dovecot said:\n%s\n%s", out, log)
		}
	})
	eventually(t, "Dovecot listening", func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+d.port)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return d
}

// dovecotDir is a folder that Dovecot's processes can enter. Its path is short, for
// sockets are in it.
func dovecotDir(t *testing.T) string {
	t.Helper()
	dir := openDir(t, "dovecot")
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, id(t, "nobody"), -1); err != nil {
		t.Fatal(err)
	}
	return dir
}
