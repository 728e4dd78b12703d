-- What `hookaido db import` took over, so that nothing is taken twice, even after its message is gone.
CREATE TABLE import (
    id          INTEGER PRIMARY KEY,
    source      TEXT NOT NULL, -- path of the file, for people
    imported_at INTEGER NOT NULL,
    messages    INTEGER NOT NULL,
    attempts    INTEGER NOT NULL
) STRICT;

-- Ids of its messages and attempts, as the source has them.
CREATE TABLE imported (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
