-- +goose Up
-- Times are microseconds since 1970 in UTC.

-- Recipients by the digest of their content, in chunks that only the consumer can read.
CREATE TABLE rosters (
	digest TEXT NOT NULL PRIMARY KEY,
	used   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE roster_chunks (
	digest  TEXT NOT NULL REFERENCES rosters (digest),
	n       INTEGER NOT NULL,
	payload BLOB NOT NULL,
	PRIMARY KEY (digest, n)
) STRICT;

-- Updates that are not wholly written; in updates.pending each counts one. chunk is the
-- next of chunks, remaining the recipients in those not written; renderings is a JSON
-- list of renderings (id), as the acceptance numbered them; late is 1 where recipients
-- are added to an update that was whole before; accepted is when they were.
CREATE TABLE expansions (
	upd        INTEGER PRIMARY KEY REFERENCES updates (n),
	roster     TEXT NOT NULL REFERENCES rosters (digest),
	chunk      INTEGER NOT NULL,
	chunks     INTEGER NOT NULL,
	remaining  INTEGER NOT NULL,
	plan       BLOB NOT NULL,
	renderings TEXT NOT NULL,
	late       INTEGER NOT NULL,
	cancelled  INTEGER NOT NULL DEFAULT 0,
	accepted   INTEGER NOT NULL
) STRICT;

-- The change feed is written by the transactions themselves from here on, many rows by
-- one statement: a trigger for each row cost as much as the settlement.
DROP TRIGGER changes_accepted;
DROP TRIGGER changes_extended;
DROP TRIGGER changes_delivery;
