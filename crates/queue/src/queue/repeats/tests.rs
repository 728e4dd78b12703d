//! What counts as a repeat.
