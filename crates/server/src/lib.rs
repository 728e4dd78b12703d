//! Build, run, reload and drain one instance.
