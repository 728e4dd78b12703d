//! Secrets, signatures, tokens and replay protection.
