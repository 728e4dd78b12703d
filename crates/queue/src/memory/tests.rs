//! What only the memory store does; the rest is in the conformance suite.
