-- +goose Up
-- Times are microseconds since 1970 in UTC; 0 stands for no time.

CREATE TABLE incidents (
	n        INTEGER PRIMARY KEY,
	id       TEXT NOT NULL UNIQUE,
	customer TEXT NOT NULL,
	severity TEXT NOT NULL,
	started  INTEGER NOT NULL,
	status   TEXT NOT NULL,
	seq      INTEGER NOT NULL,
	updated  INTEGER NOT NULL,
	next     INTEGER NOT NULL
) STRICT;

-- first and last enclose the ids of the update's deliveries; touched is when the
-- latest of them was accepted; pending counts those without an outcome.
CREATE TABLE updates (
	n        INTEGER PRIMARY KEY,
	key      TEXT NOT NULL UNIQUE,
	incident INTEGER NOT NULL REFERENCES incidents (n),
	customer TEXT NOT NULL,
	severity TEXT NOT NULL,
	seq      INTEGER NOT NULL,
	status   TEXT NOT NULL,
	at       INTEGER NOT NULL,
	accepted INTEGER NOT NULL,
	next     INTEGER NOT NULL,
	first    INTEGER NOT NULL DEFAULT 0,
	last     INTEGER NOT NULL DEFAULT -1,
	touched  INTEGER NOT NULL DEFAULT 0,
	pending  INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
	title    TEXT NOT NULL,
	override TEXT NOT NULL,
	source   TEXT NOT NULL,
	content  BLOB,
	UNIQUE (incident, seq)
) STRICT;

CREATE INDEX updates_unfinished ON updates (incident, seq) WHERE pending > 0;
CREATE INDEX updates_pending ON updates (n) WHERE pending > 0;

CREATE TABLE renderings (
	id      INTEGER PRIMARY KEY,
	upd     INTEGER NOT NULL REFERENCES updates (n),
	digest  BLOB NOT NULL,
	format  TEXT NOT NULL,
	subject TEXT NOT NULL,
	text    TEXT NOT NULL,
	html    TEXT NOT NULL,
	payload BLOB,
	UNIQUE (upd, digest)
) STRICT;

-- upd and rendering refer to updates (n) and renderings (id). They are not declared
-- as such: both are written in the same transaction a moment before, and two more
-- look-ups for each of 100,000 rows buy nothing.
CREATE TABLE deliveries (
	id          INTEGER PRIMARY KEY,
	upd         INTEGER NOT NULL,
	incident    INTEGER NOT NULL,
	seq         INTEGER NOT NULL,
	channel     TEXT NOT NULL,
	address     TEXT NOT NULL,
	key         TEXT NOT NULL,
	rendering   INTEGER NOT NULL,
	accepted    INTEGER NOT NULL,
	due         INTEGER NOT NULL,
	expire      INTEGER NOT NULL,
	outcome     TEXT NOT NULL,
	attempts    INTEGER NOT NULL DEFAULT 0,
	interrupted INTEGER NOT NULL DEFAULT 0,
	reopened    INTEGER NOT NULL DEFAULT 0,
	settled     INTEGER NOT NULL,
	list        TEXT NOT NULL,
	audience    TEXT NOT NULL,
	name        TEXT NOT NULL,
	locale      TEXT NOT NULL,
	zone        TEXT NOT NULL,
	fault       TEXT NOT NULL DEFAULT '',
	detail      TEXT NOT NULL DEFAULT '',
	remote      TEXT NOT NULL DEFAULT '',
	permalink   TEXT NOT NULL DEFAULT '',
	thread      TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE UNIQUE INDEX deliveries_key ON deliveries (key);

-- One delivery a recipient and update; also the order, and the thread of the last.
CREATE UNIQUE INDEX deliveries_recipient ON deliveries (incident, channel, address, seq);

-- The queue. Settled rows are not in it, so it stays small for years.
CREATE INDEX deliveries_pending ON deliveries (channel, due) WHERE outcome = '';

-- What a newer update supersedes.
CREATE INDEX deliveries_retrying ON deliveries (incident) WHERE outcome = '' AND attempts > 0;

-- Attempts under way. A claim writes here only, so that the wide row and its
-- indexes are written once a delivery. since is when it was claimed.
CREATE TABLE leases (
	id      INTEGER PRIMARY KEY,
	upd     INTEGER NOT NULL,
	channel TEXT NOT NULL,
	owner   TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	since   INTEGER NOT NULL,
	until   INTEGER NOT NULL
) STRICT;

CREATE TABLE attempts (
	delivery    INTEGER NOT NULL REFERENCES deliveries (id),
	number      INTEGER NOT NULL,
	fault       TEXT NOT NULL,
	interrupted INTEGER NOT NULL,
	detail      TEXT NOT NULL,
	started     INTEGER NOT NULL,
	ended       INTEGER NOT NULL,
	PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE suppressions (
	channel TEXT NOT NULL,
	address TEXT NOT NULL,
	reason  TEXT NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (channel, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE pauses (
	channel TEXT NOT NULL PRIMARY KEY,
	until   INTEGER NOT NULL,
	fault   TEXT NOT NULL,
	detail  TEXT NOT NULL,
	since   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pages (
	address TEXT NOT NULL PRIMARY KEY,
	token   TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TABLE entries (
	n       INTEGER PRIMARY KEY,
	key     TEXT NOT NULL UNIQUE,
	page    TEXT NOT NULL,
	at      INTEGER NOT NULL,
	payload BLOB NOT NULL
) STRICT;

CREATE INDEX entries_page ON entries (page, at);
