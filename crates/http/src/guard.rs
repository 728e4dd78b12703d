//! Reads along below hyper.
