// Package pgtest gives tests a real PostgreSQL server.
//
//	func TestSomething(t *testing.T) {
//		address := pgtest.Database(t) // postgres:///t1?host=/tmp/…&user=sitrep
//	}
//
// The programs are found on PATH or under /usr/lib/postgresql/*/bin, the newest
// first. The first test that asks starts the server, in a temporary directory and
// with a Unix socket and a loopback port of its own; every test gets a fresh
// database. The server flushes to disk like a real one (fsync is on).
//
// A shell watches over the server: it ends the server and removes its directory as
// soon as the test process is gone, however it went. PostgreSQL refuses to run as
// root, so then it runs as the user postgres or nobody.
//
// Where there is no server, a test that needs one is left out and says what to
// install; with SITREP_REAL=require in the environment it fails instead.
package pgtest
