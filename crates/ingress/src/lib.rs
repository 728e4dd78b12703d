//! Match, limit, authenticate, enqueue, acknowledge.
