//! `hookaido version`.

use std::process::ExitCode;

use crate::args::Version;

/// The version that the workspace declares.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Set by whoever builds a release.
const COMMIT: Option<&str> = option_env!("HOOKAIDO_COMMIT");
const BUILD_DATE: Option<&str> = option_env!("HOOKAIDO_BUILD_DATE");

pub(crate) fn print(options: &Version) -> ExitCode {
    let (commit, date) = (COMMIT.unwrap_or("unknown"), BUILD_DATE.unwrap_or("unknown"));
    if options.json {
        println!("{}", serde_json::json!({ "version": VERSION, "commit": commit, "build_date": date }));
    } else if options.long {
        println!("{VERSION} (commit={commit}, build_date={date})");
    } else {
        println!("{VERSION}");
    }
    ExitCode::SUCCESS
}
