-- +goose Up
-- What the HTTP API keeps. Times are microseconds since 1970 in UTC; 0 stands for none.

-- customers and told are JSON lists.
CREATE TABLE tokens (
	n         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id        text COLLATE "C" NOT NULL UNIQUE,
	name      text COLLATE "C" NOT NULL,
	role      text COLLATE "C" NOT NULL,
	customers text COLLATE "C" NOT NULL,
	hash      bytea NOT NULL,
	created   bigint NOT NULL,
	expires   bigint NOT NULL,
	used      bigint NOT NULL,
	revoked   bigint NOT NULL
);

CREATE TABLE drafts (
	n        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	id       text COLLATE "C" NOT NULL UNIQUE,
	input    text COLLATE "C" NOT NULL,
	customer text COLLATE "C" NOT NULL,
	incident text COLLATE "C" NOT NULL,
	key      text COLLATE "C" NOT NULL,
	next     text COLLATE "C" NOT NULL,
	told     text COLLATE "C" NOT NULL,
	source   text COLLATE "C" NOT NULL,
	why      text COLLATE "C" NOT NULL,
	received bigint NOT NULL
);

-- The change feed. Transactions commit in another order than they draw numbers, so a
-- row is ordered by its transaction first, and is read only when no transaction that
-- began before it can still commit.
CREATE SEQUENCE changes_n CACHE 1;

CREATE TABLE changes (
	x        xid8 NOT NULL DEFAULT pg_current_xact_id(),
	n        bigint NOT NULL DEFAULT nextval('changes_n'),
	at       bigint NOT NULL,
	upd      bigint NOT NULL,
	delivery bigint NOT NULL,
	attempts bigint NOT NULL,
	outcome  text COLLATE "C" NOT NULL,
	fault    text COLLATE "C" NOT NULL,
	PRIMARY KEY (x, n)
);

-- The last change that was forgotten.
CREATE TABLE changes_forgotten (
	x xid8 NOT NULL,
	n bigint NOT NULL
);

INSERT INTO changes_forgotten VALUES ('0', 0);

-- +goose StatementBegin
CREATE FUNCTION changes_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO changes (at, upd, delivery, attempts, outcome, fault)
	VALUES (CASE TG_OP WHEN 'INSERT' THEN NEW.accepted ELSE NEW.touched END, NEW.n, 0, 0, '', '');
	RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER changes_accepted AFTER INSERT ON updates FOR EACH ROW EXECUTE FUNCTION changes_update();

CREATE TRIGGER changes_extended AFTER UPDATE OF planned ON updates FOR EACH ROW
	WHEN (OLD.planned > 0 AND NEW.planned <> OLD.planned) EXECUTE FUNCTION changes_update();

-- One call for each statement, however many rows it changed. What it joins has no
-- index, so it must be hashed.
-- +goose StatementBegin
CREATE FUNCTION changes_deliveries() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = on SET enable_nestloop = off SET enable_mergejoin = off AS $$
BEGIN
	INSERT INTO changes (at, upd, delivery, attempts, outcome, fault)
	SELECT CASE a.settled WHEN 0 THEN (extract(epoch FROM clock_timestamp()) * 1000000)::bigint ELSE a.settled END,
		a.id >> 24, a.id, a.attempts, a.outcome, a.fault
	FROM after AS a JOIN before AS b ON b.id = a.id
	WHERE a.outcome <> b.outcome OR a.attempts <> b.attempts ORDER BY a.id;
	RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER changes_deliveries AFTER UPDATE ON deliveries REFERENCING OLD TABLE AS before NEW TABLE AS after
	FOR EACH STATEMENT EXECUTE FUNCTION changes_deliveries();
