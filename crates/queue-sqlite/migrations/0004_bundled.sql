-- Queued messages that lie in bundles whose place is not behind `bundled_to`: opening a file counts only the few bundles behind it.
ALTER TABLE tally ADD COLUMN bundled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN bundled_to INTEGER NOT NULL DEFAULT -1;
