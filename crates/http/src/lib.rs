//! Listeners: bind, TLS, accept loop with limits, drain, error body.
