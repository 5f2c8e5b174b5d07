-- +goose Up
-- Times are microseconds since 1970 in UTC; 0 stands for no time. Text is compared
-- byte by byte (COLLATE "C"), whatever the database's locale.

CREATE TABLE incidents (
	n        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id       text COLLATE "C" NOT NULL UNIQUE,
	customer text COLLATE "C" NOT NULL,
	severity text COLLATE "C" NOT NULL,
	started  bigint NOT NULL,
	status   text COLLATE "C" NOT NULL,
	seq      bigint NOT NULL,
	updated  bigint NOT NULL,
	next     bigint NOT NULL
);

-- planned is how many deliveries there are; touched is when the latest was accepted.
CREATE TABLE updates (
	n        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key      text COLLATE "C" NOT NULL,
	incident bigint NOT NULL REFERENCES incidents (n),
	customer text COLLATE "C" NOT NULL,
	severity text COLLATE "C" NOT NULL,
	seq      bigint NOT NULL,
	status   text COLLATE "C" NOT NULL,
	at       bigint NOT NULL,
	accepted bigint NOT NULL,
	next     bigint NOT NULL,
	planned  bigint NOT NULL DEFAULT 0,
	touched  bigint NOT NULL DEFAULT 0,
	title    text COLLATE "C" NOT NULL,
	override text COLLATE "C" NOT NULL,
	source   text COLLATE "C" NOT NULL,
	content  bytea,
	CONSTRAINT updates_key UNIQUE (key),
	CONSTRAINT updates_seq UNIQUE (incident, seq)
) WITH (fillfactor = 80);

-- The updates with deliveries that have no outcome yet, and how many. It is small,
-- and what is written often lies here and not in the wide rows.
CREATE TABLE unfinished (
	upd      bigint NOT NULL PRIMARY KEY,
	incident bigint NOT NULL,
	seq      bigint NOT NULL,
	pending  bigint NOT NULL CHECK (pending >= 0),
	UNIQUE (incident, seq)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE renderings (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	upd     bigint NOT NULL REFERENCES updates (n),
	digest  bytea NOT NULL,
	format  text COLLATE "C" NOT NULL,
	subject text COLLATE "C" NOT NULL,
	text    text COLLATE "C" NOT NULL,
	html    text COLLATE "C" NOT NULL,
	payload bytea,
	UNIQUE (upd, digest)
);

-- The id is the update's n times 2^24 plus the delivery's place in it: so an update's
-- deliveries lie side by side, in the order they were planned, and need no index
-- but this one to be found. rendering refers to renderings (id); it is not declared
-- as such, for it was written in the same transaction a moment before.
CREATE TABLE deliveries (
	id          bigint NOT NULL PRIMARY KEY,
	incident    bigint NOT NULL,
	seq         bigint NOT NULL,
	rendering   bigint NOT NULL,
	accepted    bigint NOT NULL,
	due         bigint NOT NULL,
	expire      bigint NOT NULL,
	settled     bigint NOT NULL,
	attempts    bigint NOT NULL DEFAULT 0,
	interrupted boolean NOT NULL DEFAULT false,
	reopened    boolean NOT NULL DEFAULT false,
	outcome     text COLLATE "C" NOT NULL,
	channel     text COLLATE "C" NOT NULL,
	address     text COLLATE "C" NOT NULL,
	key         text COLLATE "C" NOT NULL,
	list        text COLLATE "C" NOT NULL,
	audience    text COLLATE "C" NOT NULL,
	name        text COLLATE "C" NOT NULL,
	locale      text COLLATE "C" NOT NULL,
	zone        text COLLATE "C" NOT NULL,
	fault       text COLLATE "C" NOT NULL DEFAULT '',
	detail      text COLLATE "C" NOT NULL DEFAULT '',
	remote      text COLLATE "C" NOT NULL DEFAULT '',
	permalink   text COLLATE "C" NOT NULL DEFAULT '',
	thread      text COLLATE "C" NOT NULL DEFAULT ''
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);

CREATE UNIQUE INDEX deliveries_key ON deliveries (key);

-- One delivery a recipient and update; also the order, and the thread of the last.
CREATE UNIQUE INDEX deliveries_recipient ON deliveries (incident, channel, address, seq);

-- The queue. Settled rows are not in it, so it stays small for years.
CREATE INDEX deliveries_pending ON deliveries (channel, due, id) WHERE outcome = '';

-- What a newer update supersedes.
CREATE INDEX deliveries_retrying ON deliveries (incident) WHERE outcome = '' AND attempts > 0;

-- Attempts under way. A claim writes here only, so that the wide row and its
-- indexes are written once a delivery. since is when it was claimed.
CREATE TABLE leases (
	id      bigint NOT NULL PRIMARY KEY,
	channel text COLLATE "C" NOT NULL,
	owner   text COLLATE "C" NOT NULL,
	attempt bigint NOT NULL,
	since   bigint NOT NULL,
	until   bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE attempts (
	delivery    bigint NOT NULL REFERENCES deliveries (id),
	number      bigint NOT NULL,
	fault       text COLLATE "C" NOT NULL,
	interrupted boolean NOT NULL,
	detail      text COLLATE "C" NOT NULL,
	started     bigint NOT NULL,
	ended       bigint NOT NULL,
	PRIMARY KEY (delivery, number)
);

CREATE TABLE suppressions (
	channel text COLLATE "C" NOT NULL,
	address text COLLATE "C" NOT NULL,
	reason  text COLLATE "C" NOT NULL,
	at      bigint NOT NULL,
	PRIMARY KEY (channel, address)
);

CREATE TABLE pauses (
	channel text COLLATE "C" NOT NULL PRIMARY KEY,
	until   bigint NOT NULL,
	fault   text COLLATE "C" NOT NULL,
	detail  text COLLATE "C" NOT NULL,
	since   bigint NOT NULL
);

CREATE TABLE pages (
	address text COLLATE "C" NOT NULL PRIMARY KEY,
	token   text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE entries (
	n       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key     text COLLATE "C" NOT NULL UNIQUE,
	page    text COLLATE "C" NOT NULL,
	at      bigint NOT NULL,
	payload bytea NOT NULL
);

CREATE INDEX entries_page ON entries (page, at);
