//! File descriptors: as many as the system lets this process have, and no more connections than they allow.
//!
//! Most systems give a process 1,024 at first and far more when it asks. Commands that `deliver exec` starts inherit what was asked for.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as it goes and answers with it; `None` where there is none.
pub(crate) fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let before = limit.current;
    limit.current = limit.maximum;
    if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { before }
}

/// Connections that a listener may hold of `wanted`. A quarter of the descriptors is left to everything else.
pub(crate) fn connections(wanted: usize, descriptors: Option<u64>) -> usize {
    let most = descriptors.map_or(usize::MAX, |descriptors| usize::try_from(descriptors / 4 * 3).unwrap_or(usize::MAX));
    wanted.min(most.max(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_is_left() {
        for (descriptors, most) in [(None, 8192), (Some(1 << 20), 8192), (Some(1024), 768), (Some(20), 16)] {
            assert_eq!(connections(8192, descriptors), most, "{descriptors:?}");
        }
    }

    #[test]
    fn all_that_may_be_had_is_taken() {
        assert_eq!(raise(), getrlimit(Resource::Nofile).maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, getrlimit(Resource::Nofile).maximum);
    }
}
