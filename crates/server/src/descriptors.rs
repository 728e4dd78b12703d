//! File descriptors: as many as the system lets this process have, and no more connections than they allow.
//!
//! Most systems give a process 1,024 at first and far more when it asks. Commands that `deliver exec` starts inherit what was asked for,
//! and some of them close every descriptor up to the limit, so no more is asked for than can be of use.

use rustix::process::{Resource, getrlimit, setrlimit};

/// More than this is not asked for.
const MOST: u64 = 1 << 20;

/// Raises the limit as far as it goes and makes sense, and answers with it; `None` where there is none.
pub(crate) fn raise() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current?;
    let wanted = limit.maximum.unwrap_or(MOST).min(MOST);
    if wanted <= before {
        return Some(before);
    }
    limit.current = Some(wanted);
    if setrlimit(Resource::Nofile, limit).is_ok() { limit.current } else { Some(before) }
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
        let limit = getrlimit(Resource::Nofile);
        let raised = raise();
        assert_eq!(getrlimit(Resource::Nofile).current, raised);
        assert!(raised >= limit.current && (raised >= Some(MOST) || raised == limit.maximum), "{limit:?} {raised:?}");
    }
}
