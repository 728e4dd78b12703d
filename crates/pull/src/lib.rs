//! Lease operations for workers, over HTTP/JSON.
