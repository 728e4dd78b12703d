//! Words to values: pure functions, without places and without defaults.
//!
//! Each takes text with blanks at its ends removed, except where said, and says what is wrong in words that follow "must be".

mod address;
mod client_cert;
mod duration;
mod name;
mod number;
mod size;
mod time;
mod url;

pub(crate) use address::{BindAddress, network};
pub(crate) use client_cert::client_cert;
pub(crate) use duration::duration;
pub(crate) use name::{
    canonical_header, egress_rule, forbidden_in_header_value, host_pattern, is_header_name, is_label, is_variable_name,
    path, prefix,
};
pub(crate) use number::{integer, number};
pub(crate) use size::size;
pub(crate) use time::time;
pub(crate) use url::{UrlProblem, http_url};

/// `on`, `true`, `1` or `off`, `false`, `0`, in any case.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" | "true" | "1" => Some(true),
        "off" | "false" | "0" => Some(false),
        _ => None,
    }
}

/// Text without white space at its ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim()
}
