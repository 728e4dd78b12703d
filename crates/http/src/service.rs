//! One request.
