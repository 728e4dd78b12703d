//! From a history that fails to a short one that fails: leaves out what it can, then makes smaller what is left.

use super::Violation;
use super::steps::{Step, smaller};

/// Most histories tried.
const MOST: usize = 800;

/// `fails` plays a history and says what is wrong, if anything is.
pub(super) fn shrink(
    steps: Vec<Step>,
    first: Violation,
    fails: &mut dyn FnMut(&[Step]) -> Option<Violation>,
) -> Violation {
    let mut search = Search { steps, violation: first, tried: 0 };
    search.cut();
    let mut size = search.steps.len() / 2;
    while size >= 1 && search.tried < MOST {
        let removed = search.leave_out(size, fails);
        // single steps are tried until none can be spared
        if size > 1 || !removed {
            size /= 2;
        }
    }
    search.make_smaller(fails);
    search.leave_out(1, fails);
    search.violation
}

struct Search {
    steps: Vec<Step>,
    violation: Violation,
    tried: usize,
}

impl Search {
    /// What comes after the failure has nothing to do with it.
    fn cut(&mut self) {
        self.steps.truncate(self.violation.at + 1);
    }

    /// Takes a history over if it fails, too.
    fn try_out(&mut self, steps: Vec<Step>, fails: &mut dyn FnMut(&[Step]) -> Option<Violation>) -> bool {
        self.tried += 1;
        let Some(violation) = fails(&steps).filter(|_| self.tried <= MOST) else { return false };
        (self.steps, self.violation) = (steps, violation);
        self.cut();
        true
    }

    fn leave_out(&mut self, size: usize, fails: &mut dyn FnMut(&[Step]) -> Option<Violation>) -> bool {
        let (mut at, mut removed) = (0, false);
        while at < self.steps.len() {
            let end = (at + size).min(self.steps.len());
            let rest = self.steps.iter().take(at).chain(self.steps.iter().skip(end)).cloned().collect();
            if self.try_out(rest, fails) {
                removed = true;
            } else {
                at += size;
            }
        }
        removed
    }

    fn make_smaller(&mut self, fails: &mut dyn FnMut(&[Step]) -> Option<Violation>) {
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            let tried = smaller(step).into_iter().any(|step| {
                let mut steps = self.steps.clone();
                if let Some(place) = steps.get_mut(at) {
                    *place = step;
                }
                self.try_out(steps, fails)
            });
            if !tried {
                at += 1;
            }
        }
    }
}
