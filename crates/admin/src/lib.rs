//! Health, messages, dead letters, attempts, publish.
