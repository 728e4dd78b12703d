//! Directives and forms that nobody knows, and what may have been meant.

use hookaido_syntax::{Diagnostic, Statement, Word};

use super::Node;
use crate::Context;
use crate::suggest::nearest;
use crate::table::rows;

/// A statement that starts with no directive of its block, and which directive was most likely meant.
pub(super) fn directive(
    context: Context,
    statement: &Statement<'_>,
    name: &Word,
    before: Option<&Node>,
) -> (Diagnostic, Option<String>) {
    if context == Context::Channel {
        return (not_a_route(name), None);
    }
    let shown = &name.value;
    let inside = if context == Context::Top { String::new() } else { format!(" in `{}`", context.title()) };
    if name.quoted {
        let meant = is_known(context, shown).then(|| shown.clone());
        let help = meant.as_ref().map_or_else(
            || "a directive is written without quotes".to_owned(),
            |meant| format!("write `{meant}` without quotes"),
        );
        let message = format!("expected a directive{inside}, found a string");
        return (Diagnostic::error("E0106", name.span, message).with_help(help), meant);
    }
    let near = nearest(shown, known(context));
    let mut diagnostic = Diagnostic::error("E0107", name.span, format!("unknown directive `{shown}`{inside}"))
        .with_help(near.map_or_else(|| elsewhere(context, statement, shown), |near| format!("did you mean `{near}`?")));
    // A value that is missing swallows the next line's first word, and then what follows makes no sense.
    if let Some((node, arg)) = before.and_then(|node| Some((node, node.args.last()?)))
        && !arg.quoted
        && is_known(context, &arg.text)
    {
        let text = format!("`{}` was taken as the value of `{}`", arg.text, node.row.name);
        diagnostic = diagnostic.with_related(arg.span, text);
    }
    (diagnostic, near.map(str::to_owned))
}

/// Something else than a route where only routes stand.
pub(super) fn not_a_route(word: &Word) -> Diagnostic {
    Diagnostic::error("E0111", word.span, format!("expected a route, found `{}`", word.value))
        .with_help("only routes stand here; their path starts with `/`")
}

/// Whether a word is a directive of the block.
pub(super) fn is_known(context: Context, text: &str) -> bool {
    known(context).any(|known| known == text)
}

fn known(context: Context) -> impl Iterator<Item = &'static str> {
    rows(context).iter().filter(|row| !row.is_pattern()).map(|row| row.name)
}

/// Where a directive belongs, or else what may stand here.
fn elsewhere(context: Context, statement: &Statement<'_>, shown: &str) -> String {
    let homes: Vec<_> = Context::ALL.into_iter().filter(|&other| is_known(other, shown)).collect();
    match homes.as_slice() {
        [Context::Top] => format!("`{shown}` stands outside of any block"),
        [] if context == Context::Top && statement.block().is_some() => {
            "a route starts with `/`, a matcher with `@`".to_owned()
        }
        [] => match known(context).collect::<Vec<_>>().as_slice() {
            [] => "nothing is allowed here".to_owned(),
            known => format!("expected one of: {}", known.join(", ")),
        },
        homes => {
            let homes = homes.iter().map(|home| format!("`{}`", home.title())).collect::<Vec<_>>();
            format!("`{shown}` belongs in {}", homes.join(" or "))
        }
    }
}

/// A word after `auth` or `sign` that says no known form.
pub(super) fn form(name: &str, kind: Option<&Word>, known: &[&str], statement: &Statement<'_>) -> Diagnostic {
    let list = known.iter().map(|known| format!("`{name} {known}`")).collect::<Vec<_>>().join(", ");
    let Some(kind) = kind else {
        return Diagnostic::error(
            "E0108",
            super::shape::end_of_words(statement),
            format!("`{name}` does not say of which kind"),
        )
        .with_help(format!("write {list}"));
    };
    let near = nearest(&kind.value, known.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{name} {near}`?"),
        None if kind.quoted && known.contains(&kind.value.as_str()) => format!("write `{}` without quotes", kind.value),
        None => format!("write {list}"),
    };
    Diagnostic::error("E0108", kind.span, format!("`{name} {}` is not known here", kind.value)).with_help(help)
}
