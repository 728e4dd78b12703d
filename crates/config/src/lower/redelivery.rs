//! `max_receives` and `redelivery_backoff` of a pulled route.

use std::time::Duration;

use hookaido_model::{Backoff, Redelivery};

use super::listeners::clamp;
use super::{Lowering, backoff};
use crate::read::{Node, Section};
use crate::value::trim;

const DEFAULT_BACKOFF: Backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(300), jitter: 0.2 };
const FULL_NAMES: [&str; 3] = ["redelivery_backoff base", "redelivery_backoff cap", "redelivery_backoff jitter"];

/// What becomes of messages that workers do not finish.
pub(super) fn redelivery(lowering: &mut Lowering, block: &Section) -> Redelivery {
    let max_receives = lowering.bound(block, "max_receives").map(clamp);
    let Some(node) = block.find("redelivery_backoff") else { return Redelivery { max_receives, backoff: None } };
    let backoff = delays(lowering, block, node);
    if max_receives == Some(1) && backoff.is_some() {
        let message = "`redelivery_backoff` never counts with `max_receives 1`";
        lowering.error_help(
            "E0530",
            node.span,
            message,
            "nothing is delivered again; remove it, or allow more receives",
        );
    }
    Redelivery { max_receives, backoff }
}

fn delays(lowering: &mut Lowering, block: &Section, node: &Node) -> Option<Backoff> {
    let (kind, options) = node.args.split_first()?;
    let off = trim(&kind.text).eq_ignore_ascii_case("off");
    if !off {
        backoff::kind(lowering, node.row.name, kind, "write `redelivery_backoff exponential`, or `off`");
    }
    let mut delays = DEFAULT_BACKOFF;
    for pair in options.chunks(2) {
        let [option, arg] = pair else { continue };
        if option.text == "max" || off {
            let (message, help) = if off {
                (
                    format!("`redelivery_backoff off` takes no `{}`", option.text),
                    "write `exponential` in place of `off`",
                )
            } else {
                ("`redelivery_backoff` takes no `max`".to_owned(), "write `max_receives N` beside it")
            };
            lowering.error_help("E0529", option.span, message, help);
        } else {
            let place = (node.row, block.context);
            backoff::option(lowering, place, FULL_NAMES, (&*option.text, arg), &mut delays);
        }
    }
    backoff::ordered(lowering, node, &delays);
    Some(delays).filter(|_| !off)
}
