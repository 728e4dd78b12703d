//! A `Store` over SQLite.
