//! Push: lease, send, decide, settle.
