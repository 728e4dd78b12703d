-- Messages, their content, their lanes and the record of deliveries.
--
-- Instants are milliseconds since the Unix epoch. Places (`seq`) carry the time of receipt, so new rows are appended to their trees.
-- Columns that later migrations add must be nullable or have a constant default: adding such a column rewrites no row.

-- A pair of route and target. Never deleted, so that the number of a lane always means the same.
CREATE TABLE lane (
    id     INTEGER PRIMARY KEY,
    route  TEXT NOT NULL,
    target TEXT NOT NULL,
    UNIQUE (route, target)
) STRICT;

-- Messages of a lane by state. Changed in the same transaction as the messages, once for each lane.
CREATE TABLE tally (
    lane      INTEGER PRIMARY KEY,
    queued    INTEGER NOT NULL,
    leased    INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    dead      INTEGER NOT NULL,
    canceled  INTEGER NOT NULL
) STRICT;

-- Body and annotations, written once and never changed. Shared by the messages of a fan-out.
CREATE TABLE content (
    id      INTEGER PRIMARY KEY, -- place of its first message
    headers BLOB NOT NULL,
    trace   BLOB NOT NULL,
    payload BLOB NOT NULL
) STRICT;

-- How many messages need a content. Only contents of a fan-out have a row.
CREATE TABLE shared_content (
    id   INTEGER PRIMARY KEY,
    refs INTEGER NOT NULL
) STRICT;

-- One message in one lane: small, because every lease and settle rewrites it.
CREATE TABLE message (
    seq         INTEGER PRIMARY KEY,
    lane        INTEGER NOT NULL,
    state       INTEGER NOT NULL, -- 0 queued, 1 leased, 2 delivered, 3 dead, 4 canceled
    next_run_at INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    nonce       INTEGER NOT NULL, -- random bits of its id
    size        INTEGER NOT NULL, -- bytes of content
    token       INTEGER,          -- random bits of its lease
    lease_until INTEGER,
    content     INTEGER,          -- null: its own, under `seq`
    received_at INTEGER,          -- null: the time in `seq`
    given_id    TEXT,             -- null: the id is made of `seq` and `nonce`
    dead_reason TEXT,
    ended_at    INTEGER           -- when it was delivered, died or was canceled
) STRICT;

CREATE INDEX message_ready ON message (lane, next_run_at) WHERE state = 0;
CREATE INDEX message_leased ON message (lease_until) WHERE state = 1;
CREATE INDEX message_done ON message (state, ended_at) WHERE state >= 2;
CREATE UNIQUE INDEX message_given_id ON message (given_id) WHERE given_id IS NOT NULL;

-- Tries to deliver. Numbers are consecutive: only the oldest are removed.
CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    event_seq   INTEGER, -- of a made id
    event_nonce INTEGER,
    event_id    TEXT,    -- of a given id
    lane        INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    status_code INTEGER,
    error       TEXT,
    outcome     INTEGER NOT NULL, -- 0 acked, 1 retry, 2 dead
    dead_reason TEXT,
    created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX attempt_event_seq ON attempt (event_seq) WHERE event_seq IS NOT NULL;
CREATE INDEX attempt_event_id ON attempt (event_id) WHERE event_id IS NOT NULL;
