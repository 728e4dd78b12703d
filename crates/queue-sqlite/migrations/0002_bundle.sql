-- New messages of one commit and lane, written as one row and not touched since.
--
-- A bundle's content, under the same number, holds its messages one behind the other (see `bundle.rs`). They are leased from its
-- front, where each becomes a row of `message`; those behind `taken` have no row yet and are in no `tally`.
CREATE TABLE bundle (
    seq   INTEGER PRIMARY KEY, -- place of its first message, and number of its content
    lane  INTEGER NOT NULL,
    last  INTEGER NOT NULL,    -- place of its last message
    head  INTEGER NOT NULL,    -- place of the first that was not taken
    count INTEGER NOT NULL,
    taken INTEGER NOT NULL
) STRICT;

CREATE INDEX bundle_lane ON bundle (lane, seq);

-- Where the message begins in the content of its bundle.
ALTER TABLE message ADD COLUMN part INTEGER;
