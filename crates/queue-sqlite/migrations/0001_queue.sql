-- Lanes: pairs of route and target, with the number of their messages in each state.
CREATE TABLE lane (
  id        INTEGER PRIMARY KEY,
  route     TEXT    NOT NULL,
  target    TEXT    NOT NULL,
  queued    INTEGER NOT NULL DEFAULT 0,
  leased    INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  dead      INTEGER NOT NULL DEFAULT 0,
  canceled  INTEGER NOT NULL DEFAULT 0,
  UNIQUE (route, target)
) STRICT;

-- Body, headers and trace, stored once however many lanes a message goes to. `id` is the place of its first message.
CREATE TABLE content (
  id      INTEGER PRIMARY KEY,
  refs    INTEGER NOT NULL,
  headers BLOB    NOT NULL,
  trace   BLOB    NOT NULL,
  payload BLOB    NOT NULL
) STRICT;

-- State of messages: small rows, the only ones that leasing and settling rewrite.
CREATE TABLE message (
  seq           INTEGER PRIMARY KEY,         -- place: milliseconds of receipt << 20, and a counter
  lane          INTEGER NOT NULL,
  state         INTEGER NOT NULL,            -- 0 queued, 1 leased, 2 delivered, 3 dead, 4 canceled
  next_run_at   INTEGER NOT NULL,            -- milliseconds; earliest lease
  attempt       INTEGER NOT NULL,
  nonce         INTEGER NOT NULL,            -- random bits of the id
  content       INTEGER,                     -- content.id where that is not seq
  lease_token   INTEGER,
  lease_until   INTEGER,
  given_id      TEXT,                        -- id that a publisher chose
  dead_reason   TEXT,
  settled_at    INTEGER,                     -- when it was delivered, died or was canceled
  ordering_key  TEXT,
  not_before    INTEGER,
  expires_at    INTEGER,
  dedup_key     TEXT,
  event_type    TEXT
) STRICT;

CREATE INDEX message_ready  ON message (lane, next_run_at) WHERE state = 0;
CREATE INDEX message_leased ON message (lease_until) WHERE state = 1;
CREATE INDEX message_ended  ON message (state) WHERE state >= 2;
CREATE INDEX message_aged   ON message (state, settled_at) WHERE state >= 2;
CREATE UNIQUE INDEX message_given ON message (given_id) WHERE given_id IS NOT NULL;

CREATE TABLE attempt (
  id          INTEGER PRIMARY KEY,
  event       BLOB    NOT NULL,              -- 16 bytes of a made id, else the text of a given one
  lane        INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  outcome     INTEGER NOT NULL,
  status_code INTEGER,
  error       TEXT,
  dead_reason TEXT,
  created_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX attempt_event ON attempt (event);

-- Written and removed again to find out whether the disk takes writes.
CREATE TABLE probe (id INTEGER PRIMARY KEY, filler BLOB NOT NULL) STRICT;
