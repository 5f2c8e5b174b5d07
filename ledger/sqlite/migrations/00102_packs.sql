-- +goose Up
-- Deliveries of one update and channel that were accepted together and of which nothing
-- but the usual has become: see pack.go. They have their ids, first and the count - 1 after
-- it, and count in updates as all deliveries do. made names the handle that made the
-- pack, which alone changes it. begun of them were claimed, from the first one on, and
-- settled of these are settled; owner, since (the latest claim) and until are the lease of
-- the others. low and high are their first and last key. Times are microseconds since 1970 in UTC.
CREATE TABLE packs (
	first    INTEGER PRIMARY KEY,
	count    INTEGER NOT NULL,
	made     TEXT NOT NULL,
	upd      INTEGER NOT NULL REFERENCES updates (n),
	incident INTEGER NOT NULL,
	seq      INTEGER NOT NULL,
	channel  TEXT NOT NULL,
	accepted INTEGER NOT NULL,
	low      TEXT NOT NULL,
	high     TEXT NOT NULL,
	begun    INTEGER NOT NULL DEFAULT 0,
	settled  INTEGER NOT NULL DEFAULT 0,
	owner    TEXT NOT NULL DEFAULT '',
	since    INTEGER NOT NULL DEFAULT 0,
	until    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Who they are for: see packcode.go.
CREATE TABLE pack_contents (
	first   INTEGER PRIMARY KEY,
	payload BLOB NOT NULL
) STRICT;

-- What became of them, in order.
CREATE TABLE pack_log (
	n       INTEGER PRIMARY KEY,
	pack    INTEGER NOT NULL,
	payload BLOB NOT NULL
) STRICT;

CREATE INDEX pack_log_pack ON pack_log (pack);
