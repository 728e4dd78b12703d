//! Meaning of a configuration file: directive table, checks, compiled form, reload plan.
