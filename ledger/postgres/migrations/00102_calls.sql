-- +goose Up
-- A claim and a settlement are one call each, and so one round trip and one
-- transaction: a client that stops in the middle, for ever perhaps, holds no lock that
-- anybody waits for. Each statement of a volatile function looks at the tables anew,
-- which the rule "lock, then look" relies on.

-- What is pending and waits for no older update of its incident. Whether an older
-- delivery to the same recipient is pending is asked only of updates that are not
-- finished, which is usually none; while one is not wholly written, it may yet get one.
-- (OFFSET 0 has it looked up in the index for one recipient at a time. The planner, who
-- does not know how many there are, might read all that is pending instead.)
CREATE VIEW claimable AS
	SELECT d.* FROM deliveries d
	WHERE d.outcome = '' AND NOT EXISTS (SELECT 1 FROM unfinished b WHERE b.incident = d.incident AND b.seq < d.seq
		AND (b.unwritten OR EXISTS (SELECT 1 FROM deliveries o WHERE o.incident = d.incident AND o.channel = d.channel
			AND o.address = d.address AND o.seq = b.seq AND o.outcome = '' OFFSET 0)));

-- claim_deliveries leases up to r_limit deliveries that are due. Its first row has the
-- pause in force, if any, and when it is worth asking again (0 for never), the others
-- are the claims. r_lost is what is on record of an attempt whose lease had ended.
-- +goose StatementBegin
CREATE FUNCTION claim_deliveries(r_channel text, r_owner text, r_now bigint, r_until bigint, r_limit bigint, r_incident text, r_lost text, r_collision bigint)
RETURNS TABLE (ask bigint, paused_until bigint, paused_since bigint, paused_fault text, paused_detail text,
	id bigint, key text, attempt bigint, interrupted boolean, reopened boolean, address text, name text, locale text, zone text,
	rendering bigint, fault text, list text, audience text, seq bigint, accepted bigint, expire bigint,
	incident text, update text, customer text, severity text, thread text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
	one bigint;
	ids bigint[] := '{}';
	dues bigint[];
	lease_end bigint;
	broken bigint[];
BEGIN
	IF r_incident <> '' THEN
		one := coalesce((SELECT i.n FROM incidents i WHERE i.id = r_incident), 0);
	END IF;
	SELECT p.until, p.since, p.fault, p.detail INTO paused_until, paused_since, paused_fault, paused_detail
		FROM pauses p WHERE p.channel = r_channel AND p.until > r_now;
	IF NOT FOUND THEN
		-- What somebody else has locked is skipped. One more than wanted: when that is
		-- due is worth knowing.
		SELECT array_agg(c.id), array_agg(c.due) INTO ids, dues FROM (
			SELECT d.id, d.due FROM claimable d WHERE d.channel = r_channel AND d.due <= r_now AND (one IS NULL OR d.incident = one)
				AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id AND l.until > r_now)
			ORDER BY d.due, d.id LIMIT r_limit + 1 FOR UPDATE OF d SKIP LOCKED) c;
		ask := dues[r_limit + 1];
		ids := coalesce(ids[1:r_limit], '{}');
	END IF;
	IF ask IS NULL THEN
		-- When another's lease ends, and when what nobody has is due.
		SELECT min(l.until) INTO lease_end FROM leases l WHERE l.channel = r_channel AND l.until > r_now AND l.id <> ALL (ids)
			AND (one IS NULL OR EXISTS (SELECT 1 FROM deliveries d WHERE d.id = l.id AND d.incident = one));
		SELECT d.due INTO ask FROM claimable d WHERE d.channel = r_channel AND d.id <> ALL (ids) AND (one IS NULL OR d.incident = one)
			AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id AND l.until > r_now)
			ORDER BY d.due, d.id LIMIT 1;
		ask := coalesce(least(ask, lease_end), 0);
		IF ask <> 0 AND ask <= r_now THEN
			ask := r_now + r_collision; -- somebody is claiming it, and may yet leave it
		END IF;
	END IF;
	RETURN NEXT;
	IF cardinality(ids) = 0 THEN
		RETURN;
	END IF;
	-- They are locked, so these statements see what became of them until then. First
	-- the attempts that were never settled are put on record.
	WITH gone AS (DELETE FROM leases l WHERE l.id = ANY (ids) AND l.until <= r_now RETURNING l.id, l.attempt, l.since),
		noted AS (
			INSERT INTO attempts (delivery, number, fault, interrupted, detail, started, ended)
			SELECT g.id, g.attempt, 'ambiguous', true, r_lost, g.since, 0 FROM gone g
			ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE SET fault = excluded.fault, interrupted = excluded.interrupted,
				detail = excluded.detail, started = excluded.started, ended = excluded.ended),
		hit AS (UPDATE deliveries d SET interrupted = true, attempts = g.attempt FROM gone g WHERE d.id = g.id RETURNING d.id)
		SELECT array_agg(h.id ORDER BY h.id) INTO broken FROM hit h;
	-- One that was claimed while we waited for our snapshot is left out.
	RETURN QUERY WITH ours AS MATERIALIZED (
			SELECT d.* FROM unnest(ids) AS x(id) JOIN claimable d ON d.id = x.id
			WHERE d.due <= r_now AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id)),
		taken AS (
			INSERT INTO leases (id, channel, owner, attempt, since, until)
			SELECT o.id, o.channel, r_owner, o.attempts + 1, r_now, r_until FROM ours o)
		SELECT NULL::bigint, NULL::bigint, NULL::bigint, NULL::text, NULL::text,
			d.id, d.key, d.attempts + 1, d.interrupted, d.reopened, d.address, d.name, d.locale, d.zone,
			d.rendering, d.fault, d.list, d.audience, d.seq, d.accepted, d.expire, i.id, u.key, u.customer, u.severity,
			CASE WHEN d.seq = 1 THEN '' ELSE coalesce((SELECT o.thread FROM deliveries o WHERE o.incident = d.incident AND o.channel = d.channel
				AND o.address = d.address AND o.seq < d.seq AND o.outcome = 'delivered' ORDER BY o.seq DESC LIMIT 1), '') END
		FROM ours d JOIN updates u ON u.n = d.id >> 24 JOIN incidents i ON i.n = d.incident
		ORDER BY d.due, d.id;
	IF broken IS NOT NULL THEN
		PERFORM feed_changes(ARRAY(SELECT x >> 24 FROM unnest(broken) AS x), broken, array_fill(r_now, ARRAY[cardinality(broken)]));
	END IF;
END $$;
-- +goose StatementEnd

-- settle_deliveries records what became of claims whose leases are still the caller's,
-- and returns their places in the lists and their outcomes. noted says whether the
-- attempt is put on record, suppress whether the address is.
-- +goose StatementBegin
CREATE FUNCTION settle_deliveries(ids bigint[], owners text[], numbers bigint[], outcomes text[], dues bigint[], starts bigint[], ends bigint[],
	untried boolean[], noted boolean[], suppress boolean[], faults text[], details text[], remotes text[], permalinks text[], threads text[])
RETURNS TABLE (place bigint, result text)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
	settled_places bigint[];
	results text[];
	fed bigint[];
	ats bigint[];
BEGIN
	-- Whoever asks for a retry holds the incident first: a newer update is then either
	-- here to be seen, or will see the retry. Nothing else is held while we wait.
	IF '' = ANY (outcomes) THEN
		PERFORM 1 FROM incidents i WHERE i.n IN (SELECT d.incident FROM unnest(ids, outcomes) AS x(id, outcome)
			JOIN deliveries d ON d.id = x.id WHERE x.outcome = '') ORDER BY i.n FOR SHARE;
	END IF;
	PERFORM 1 FROM deliveries d WHERE d.id = ANY (ids) ORDER BY d.id FOR UPDATE;

	WITH gone AS (
			DELETE FROM leases l USING unnest(ids, owners, numbers, outcomes, dues, starts, ends, untried, noted, suppress, faults, details,
				remotes, permalinks, threads) WITH ORDINALITY
				AS x(id, owner, number, outcome, due, started, ended, untried, noted, suppress, fault, detail, remote, permalink, thread, place)
			WHERE l.id = x.id AND l.owner = x.owner AND l.attempt = x.number
			RETURNING x.*),
		-- A retry of what was ever tried ends where a newer update was accepted for the
		-- same recipient.
		mine AS MATERIALIZED (
			SELECT g.*, CASE WHEN g.outcome <> '' OR (g.untried AND g.number <= 1) THEN g.outcome
				WHEN EXISTS (SELECT 1 FROM deliveries o JOIN deliveries d ON d.incident = o.incident AND d.channel = o.channel
					AND d.address = o.address AND d.seq > o.seq AND d.outcome NOT IN ('suppressed', 'cancelled') WHERE o.id = g.id OFFSET 0)
				THEN 'superseded' ELSE '' END AS result
			FROM gone g),
		done AS (
			UPDATE deliveries d SET outcome = m.result,
				attempts = CASE WHEN NOT m.untried THEN m.number WHEN m.result = '' THEN d.attempts ELSE m.number - 1 END,
				due = CASE m.result WHEN '' THEN m.due ELSE d.due END,
				settled = CASE m.result WHEN '' THEN 0 ELSE m.ended END,
				remote = CASE m.result WHEN '' THEN d.remote ELSE m.remote END,
				permalink = CASE m.result WHEN '' THEN d.permalink ELSE m.permalink END,
				thread = CASE m.result WHEN '' THEN d.thread ELSE m.thread END,
				-- What an attempt failed of stays on record when a later one succeeds.
				fault = CASE WHEN m.result = 'delivered' OR (m.result = '' AND m.untried) OR (m.result <> '' AND m.fault = '') THEN d.fault ELSE m.fault END,
				detail = CASE WHEN (m.result = '' AND m.untried) OR (m.result <> '' AND m.detail = '') THEN d.detail ELSE m.detail END
			FROM mine m WHERE d.id = m.id
			RETURNING d.id, d.outcome, d.attempts, d.fault, d.channel, d.address, m.place, m.ended, m.untried, m.suppress, m.detail),
		recorded AS (
			INSERT INTO attempts (delivery, number, fault, interrupted, detail, started, ended)
			SELECT m.id, m.number, m.fault, false, m.detail, m.started, m.ended FROM mine m WHERE m.noted
			ON CONFLICT ON CONSTRAINT attempts_pkey DO UPDATE SET fault = excluded.fault, interrupted = excluded.interrupted,
				detail = excluded.detail, started = excluded.started, ended = excluded.ended),
		suppressed AS (
			INSERT INTO suppressions (channel, address, reason, at)
			SELECT DISTINCT ON (d.channel, d.address) d.channel, d.address, d.detail, d.ended FROM done d WHERE d.suppress
			ORDER BY d.channel, d.address, d.place DESC
			ON CONFLICT ON CONSTRAINT suppressions_pkey DO UPDATE SET reason = excluded.reason, at = excluded.at),
		counted AS (
			UPDATE unfinished f SET pending = f.pending - c.n
			FROM (SELECT d.id >> 24 AS upd, count(*) AS n FROM done d WHERE d.outcome <> '' GROUP BY 1 ORDER BY 1) c WHERE f.upd = c.upd),
		-- Others may work what was given back.
		told AS (
			SELECT pg_notify('sitrep_wake', c.channel) FROM (SELECT DISTINCT d.channel FROM done d WHERE d.untried AND d.outcome = ''
				AND octet_length(d.channel) < 7900) c)
		SELECT array_agg(d.place), array_agg(d.outcome),
			array_agg(d.id ORDER BY d.id) FILTER (WHERE d.outcome <> '' OR NOT d.untried),
			array_agg(d.ended ORDER BY d.id) FILTER (WHERE d.outcome <> '' OR NOT d.untried)
		INTO settled_places, results, fed, ats FROM done d WHERE (SELECT count(*) FROM told) >= 0;

	DELETE FROM unfinished f WHERE f.pending = 0 AND f.upd IN (SELECT DISTINCT x >> 24 FROM unnest(ids) AS x);
	IF fed IS NOT NULL THEN
		PERFORM feed_changes(ARRAY(SELECT x >> 24 FROM unnest(fed) AS x), fed, ats);
	END IF;
	RETURN QUERY SELECT * FROM unnest(settled_places, results);
END $$;
-- +goose StatementEnd
