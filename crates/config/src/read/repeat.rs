//! Directives that may be given only once.

use hookaido_syntax::{Diagnostic, Span, Statement};

use crate::table::{Row, Shape};

/// A statement that comes a second time although it may not.
pub(super) fn problem(
    row: &Row,
    statement: &Statement<'_>,
    seen: &mut Vec<(&'static str, Span)>,
) -> Option<Diagnostic> {
    let mut keys: Vec<(&'static str, String)> = Vec::new();
    let second = statement.args().next();
    match row.shape {
        // Of these, some forms may be repeated and some may not.
        Shape::Sign => match second.map(|word| word.value.as_str()) {
            Some("hmac") if statement.args().nth(1).is_some_and(|word| word.is("secret_ref")) => {
                if let Some(&(_, first)) = seen.iter().find(|(name, _)| *name == "sign hmac") {
                    return Some(twice("sign hmac", statement.span(), first));
                }
                seen.push(("sign hmac secret_ref", statement.span()));
            }
            Some("hmac") => {
                if let Some(&(_, first)) = seen.iter().find(|(name, _)| *name == "sign hmac secret_ref") {
                    return Some(twice("sign hmac", statement.span(), first));
                }
                keys.push(("sign hmac", "sign hmac".to_owned()));
            }
            Some("signature_header") => keys.push(("sign signature_header", "sign signature_header".to_owned())),
            Some("timestamp_header") => keys.push(("sign timestamp_header", "sign timestamp_header".to_owned())),
            Some("secret_selection") => keys.push(("sign secret_selection", "sign secret_selection".to_owned())),
            _ => {}
        },
        Shape::RouteAuth => match second.map(|word| word.value.as_str()) {
            Some("forward") => keys.push(("auth forward", "auth forward".to_owned())),
            Some("hmac") if statement.block().is_some() => keys.push(("auth hmac {", "auth hmac { }".to_owned())),
            _ => {}
        },
        Shape::Matchers if statement.block().is_some() => keys.push(("match {", "match { }".to_owned())),
        _ if row.repeats => {}
        _ => keys.push((row.name, row.name.to_owned())),
    }
    let mut problem = None;
    for (key, shown) in keys {
        match seen.iter().find(|(name, _)| *name == key) {
            Some(&(_, first)) => problem = Some(twice(&shown, statement.span(), first)),
            None => seen.push((key, statement.span())),
        }
    }
    problem
}

/// A second one of what may be there once.
pub(crate) fn twice(shown: &str, span: Span, first: Span) -> Diagnostic {
    Diagnostic::error("E0105", span, format!("`{shown}` is given twice"))
        .with_related(first, "first given here")
        .with_help("remove one of them")
}
