package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// relayName is the name in the certificate of the Postfix that tests start.
const relayName = "relay.test.example"

// postfix is a running Postfix of our own: its configuration, queue and mailboxes are
// in a temporary folder, and the machine's own Postfix, if any, is not touched.
type postfix struct {
	dir, port string
	plain     string // a port where it wants no TLS, for those who have to listen in
	ca        authority
	greylist  *greylist

	main, master string // more lines of main.cf and master.cf
}

// startPostfix starts a Postfix that takes mail for abc.example, delivers it to
// Maildirs and has nowhere else to send it.
func startPostfix(t *testing.T) *postfix {
	t.Helper()
	return startPostfixWith(t, "", "")
}

// startPostfixWith is startPostfix with more lines in main.cf and master.cf.
func startPostfixWith(t *testing.T, main, master string) *postfix {
	t.Helper()
	program := need(t, "postfix", "postfix")
	if os.Geteuid() != 0 {
		missing(t, "Postfix starts only as root")
	}
	p := &postfix{
		dir: postfixDir(t), port: freePort(t), plain: freePort(t), ca: newAuthority(t), greylist: newGreylist(t),
		main: main, master: master,
	}
	p.configure(t)
	config := filepath.Join(p.dir, "etc")
	t.Cleanup(func() {
		if out, err := exec.Command(program, "-c", config, "stop").CombinedOutput(); err != nil {
			t.Errorf("stop Postfix: %v\n%s", err, out)
		}
		if t.Failed() {
			t.Logf("Postfix's log:\n%s", p.log(t))
		}
	})
	// Not CombinedOutput: the daemon keeps a pipe open for as long as it lives.
	if err := exec.CommandContext(t.Context(), program, "-c", config, "start").Run(); err != nil {
		t.Fatalf("start Postfix: %v", err)
	}
	return p
}

// postfixDir is a folder that Postfix's unprivileged processes can enter, which
// t.TempDir is not.
func postfixDir(t *testing.T) string {
	t.Helper()
	dir := openDir(t, "postfix")
	for name, owner := range map[string]string{"etc": "root", "queue": "root", "log": "root", "data": "postfix", "mail": "nobody"} {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, id(t, owner), -1); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// id is the number of a system user.
func id(t *testing.T, name string) int {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// postfixMain is main.cf. DIR, POLICY and NOBODY are put in.
const postfixMain = `compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/log/mail.log
maillog_file_prefixes = DIR
myhostname = ` + relayName + `
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
default_transport = error:nothing leaves this machine
virtual_mailbox_domains = abc.example, status.example
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = texthash:DIR/etc/boxes
virtual_uid_maps = static:NOBODY
virtual_gid_maps = static:NOBODY
virtual_minimum_uid = 1
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = DIR/etc/cert.pem
smtpd_tls_key_file = DIR/etc/key.pem
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient, check_recipient_access texthash:DIR/etc/access, check_policy_service inet:127.0.0.1:POLICY
smtpd_error_sleep_time = 0
`

// postfixMaster is master.cf without the services that send mail on.
const postfixMaster = `127.0.0.1:PORT inet n - n - - smtpd
127.0.0.1:PLAIN inet n - n - - smtpd -o smtpd_tls_security_level=none
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
tlsmgr   unix - - n 1000? 1 tlsmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error    unix - - n - - error
retry    unix - - n - - error
virtual  unix - n n - - virtual
anvil    unix - - n - 1 anvil
postlog  unix-dgram n - n - 1 postlogd
`

// boxes are the mailboxes there are; access is what happens to one that is full.
const (
	boxes = `alice@abc.example abc.example/alice/
zoe@abc.example abc.example/zoe/
slow@abc.example abc.example/slow/
full@abc.example abc.example/full/
ops@abc.example abc.example/ops/
busy@abc.example abc.example/busy/
bounces@status.example status.example/bounces/
`
	access = "full@abc.example 552 5.2.2 The mailbox is full\n"
)

// many are mailboxes for updates to more than a few.
const many = 30

func manyBoxes() string {
	var b strings.Builder
	for i := range many {
		fmt.Fprintf(&b, "%s@abc.example abc.example/%[1]s/\n", manyBox(i))
	}
	return b.String()
}

func manyBox(i int) string { return fmt.Sprintf("many%02d", i) }

func (p *postfix) configure(t *testing.T) {
	t.Helper()
	cert, key := p.ca.issue(t, relayName)
	fill := strings.NewReplacer("DIR", p.dir, "PORT", p.port, "PLAIN", p.plain, "POLICY", p.greylist.port, "NOBODY", strconv.Itoa(id(t, "nobody")))
	for name, content := range map[string]string{
		"main.cf": fill.Replace(postfixMain + p.main), "master.cf": fill.Replace(postfixMaster + p.master),
		"boxes": boxes + manyBoxes(), "access": access, "cert.pem": cert, "key.pem": key,
	} {
		if err := os.WriteFile(filepath.Join(p.dir, "etc", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *postfix) log(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "log", "mail.log"))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// mail waits until a mailbox holds n messages and returns them, oldest first.
func (p *postfix) mail(t *testing.T, box string, n int) []string {
	t.Helper()
	var files []string
	eventually(t, strconv.Itoa(n)+" messages in the mailbox of "+box, func() bool {
		files, _ = filepath.Glob(filepath.Join(p.dir, "mail", "abc.example", box, "new", "*")) // the pattern is well formed
		return len(files) >= n
	})
	if len(files) > n {
		t.Fatalf("%s got %d messages, want %d", box, len(files), n)
	}
	return byTime(t, files)
}

// byTime reads files in the order in which they were written.
func byTime(t *testing.T, files []string) []string {
	t.Helper()
	mails, at := make([]string, len(files)), make([]int64, len(files))
	for i, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		mails[i], at[i] = string(b), info.ModTime().UnixNano()
		for j := i; j > 0 && at[j] < at[j-1]; j-- {
			mails[j], mails[j-1], at[j], at[j-1] = mails[j-1], mails[j], at[j-1], at[j]
		}
	}
	return mails
}
