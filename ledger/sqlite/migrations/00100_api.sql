-- +goose Up
-- What the HTTP API keeps. Times are microseconds since 1970 in UTC; 0 stands for none.

-- customers and told are JSON lists.
CREATE TABLE tokens (
	n         INTEGER PRIMARY KEY,
	id        TEXT NOT NULL UNIQUE,
	name      TEXT NOT NULL,
	role      TEXT NOT NULL,
	customers TEXT NOT NULL,
	hash      BLOB NOT NULL,
	created   INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	used      INTEGER NOT NULL,
	revoked   INTEGER NOT NULL
) STRICT;

CREATE TABLE drafts (
	n        INTEGER PRIMARY KEY,
	id       TEXT NOT NULL UNIQUE,
	input    TEXT NOT NULL,
	customer TEXT NOT NULL,
	incident TEXT NOT NULL,
	key      TEXT NOT NULL,
	next     TEXT NOT NULL,
	told     TEXT NOT NULL,
	source   TEXT NOT NULL,
	why      TEXT NOT NULL,
	received INTEGER NOT NULL
) STRICT;

-- The change feed. Its writers are the triggers below, so that no way of changing a
-- delivery can forget it. A row is narrow and is only ever appended: it costs a
-- settlement little. The latest row is never deleted, so n never goes back.
CREATE TABLE changes (
	n        INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL,
	upd      INTEGER NOT NULL,
	delivery INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	outcome  TEXT NOT NULL,
	fault    TEXT NOT NULL
) STRICT;

-- +goose StatementBegin
CREATE TRIGGER changes_accepted AFTER INSERT ON updates BEGIN
	INSERT INTO changes (at, upd, delivery, attempts, outcome, fault) VALUES (new.accepted, new.n, 0, 0, '', '');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER changes_extended AFTER UPDATE OF last ON updates WHEN old.last <> -1 AND new.last <> old.last BEGIN
	INSERT INTO changes (at, upd, delivery, attempts, outcome, fault) VALUES (new.touched, new.n, 0, 0, '', '');
END;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE TRIGGER changes_delivery AFTER UPDATE OF outcome, attempts ON deliveries
WHEN old.outcome <> new.outcome OR old.attempts <> new.attempts BEGIN
	INSERT INTO changes (at, upd, delivery, attempts, outcome, fault)
	VALUES (iif(new.settled = 0, CAST(unixepoch('subsec') * 1000000 AS INTEGER), new.settled),
		new.upd, new.id, new.attempts, new.outcome, new.fault);
END;
-- +goose StatementEnd
