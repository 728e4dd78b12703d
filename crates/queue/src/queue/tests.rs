//! The handle: waiting, cancellation, repeats, upkeep.
