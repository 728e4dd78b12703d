//! Delays that grow, as `retry` and `redelivery_backoff` write them: a kind, then options in any order.

use hookaido_model::Backoff;

use super::Lowering;
use crate::Context;
use crate::read::{Arg, Node};
use crate::table::{Kind, Row};
use crate::value::{self, trim};

/// Says so where the kind is not `exponential`, the only one there is.
pub(super) fn kind(lowering: &mut Lowering, name: &str, kind: &Arg, help: &str) {
    let text = trim(&kind.text);
    if text.is_empty() {
        lowering.empty(&format!("the kind of `{name}`"), kind);
    } else if !text.eq_ignore_ascii_case("exponential") {
        lowering.error_help("E0511", kind.span, format!("`{name} {}` is not known", text.escape_debug()), help);
    }
}

/// Reads `base`, `cap` or `jitter`. `full_names` are what messages call them, in this order.
pub(super) fn option(
    lowering: &mut Lowering,
    (row, context): (&Row, Context),
    full_names: [&'static str; 3],
    (name, arg): (&str, &Arg),
    backoff: &mut Backoff,
) {
    let [base, cap, jitter] = full_names;
    match name {
        "base" => {
            let row = Row { name: base, kind: Kind::PositiveDuration, ..*row };
            backoff.base = lowering.duration_of(&row, context, arg).unwrap_or(backoff.base);
        }
        "cap" => {
            let row = Row { name: cap, kind: Kind::PositiveDuration, ..*row };
            backoff.cap = lowering.duration_of(&row, context, arg).unwrap_or(backoff.cap);
        }
        _ => {
            let row = Row { name: jitter, kind: Kind::Rate, ..*row };
            let Some(text) = lowering.not_empty(&row, context, arg) else { return };
            match value::number(text).filter(|jitter| (0.0..=1.0).contains(jitter)) {
                Some(jitter) => backoff.jitter = jitter.abs(),
                None => lowering.wrong("E0207", &row, context, arg, "a number from 0 to 1"),
            }
        }
    }
}

/// Says so where the first delay is above the largest one.
pub(super) fn ordered(lowering: &mut Lowering, node: &Node, backoff: &Backoff) {
    if backoff.base > backoff.cap {
        let message = format!("`base` of `{}` must not be above `cap`", node.row.name);
        lowering.error_help("E0512", node.span, message, "lower `base` or raise `cap`");
    }
}
