//! Arguments of the command line.
//!
//! Flags may be written with one dash or two (`-config f`, `--config=f`), as users of the reference do.

mod db;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use db::{Backup, Db, DbFile, Format, Import};

/// Usage on top of what the parser makes of the definitions below.
const USAGE: &str = "\
Usage:
  hookaido run [--config ./Hookaido.conf] [--db ./hookaido.db] [--pid-file FILE] [--watch] [--log-level info] [--dotenv FILE]
  hookaido config validate [--config FILE] [--format json|text] [--strict-secrets]
  hookaido config fmt [--config FILE] [--check] [--write]
  hookaido config diff [--context N] OLD NEW
  hookaido config explain METHOD URL [-H 'NAME: VALUE'] [--config FILE]
  hookaido config reference [DIRECTIVE]
  hookaido config adapt [--config FILE]
  hookaido db stats | check | vacuum [--db ./hookaido.db] [--format text|json]
  hookaido db backup [--db ./hookaido.db] [--force] FILE
  hookaido db import [--db ./hookaido.db] [--only-new] FILE
  hookaido version [--long] [--json]";

/// A durable webhook queue for the edge.
#[derive(Debug, Parser)]
#[command(name = "hookaido", override_usage = USAGE.trim_start_matches("Usage:\n  "), disable_version_flag = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a configuration file until told to stop
    #[command(override_usage = "hookaido run [OPTIONS]")]
    Run(Run),
    /// Check, format, compare and explain configuration files
    #[command(override_usage = "hookaido config COMMAND")]
    Config {
        #[command(subcommand)]
        command: Config,
    },
    /// Look at a queue file, check it, shrink it, copy it, fill it from a Hookaido 2 database
    #[command(override_usage = "hookaido db COMMAND")]
    Db {
        #[command(subcommand)]
        command: Db,
    },
    /// Print the version
    #[command(override_usage = "hookaido version [--long] [--json]")]
    Version(Version),
}

/// The queue file unless told otherwise.
const QUEUE: &str = "./hookaido.db";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Configuration file [default: ./Hookaido.conf, else ./Hookaidofile]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Queue file of the SQLite backend
    #[arg(long, value_name = "FILE", default_value = QUEUE)]
    pub(crate) db: PathBuf,
    /// Connection string of the PostgreSQL backend
    #[arg(long, value_name = "DSN")]
    pub(crate) postgres_dsn: Option<String>,
    /// Write the process id here while running
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Reload when the configuration file changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// Least severity that is logged [default: what the file says, else info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<Level>,
    /// Read environment variables from a file; what is set already wins
    #[arg(long, value_name = "FILE")]
    pub(crate) dotenv: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check a file; every problem is reported at once
    #[command(override_usage = "hookaido config validate [OPTIONS]")]
    Validate(Validate),
    /// Print a file in canonical form
    #[command(override_usage = "hookaido config fmt [OPTIONS]")]
    Fmt(Fmt),
    /// Compare the canonical forms of two files
    #[command(override_usage = "hookaido config diff [--context N] OLD NEW")]
    Diff(Diff),
    /// Show which route a request would hit, and why
    #[command(override_usage = "hookaido config explain METHOD URL [OPTIONS]")]
    Explain(Explain),
    /// Describe a directive, or all of them
    #[command(override_usage = "hookaido config reference [DIRECTIVE]")]
    Reference {
        /// Such as `max_batch`
        directive: Option<String>,
    },
    /// Print the compiled configuration as JSON, defaults filled in, secrets left out
    #[command(override_usage = "hookaido config adapt [OPTIONS]")]
    Adapt(File),
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// Configuration file [default: ./Hookaido.conf, else ./Hookaidofile]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) file: File,
    /// `json` or `text`
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    pub(crate) format: String,
    /// Also read every secret that the file refers to
    #[arg(long)]
    pub(crate) strict_secrets: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Fmt {
    #[command(flatten)]
    pub(crate) file: File,
    /// Print nothing; exit with 1 if the file is not in canonical form
    #[arg(long)]
    pub(crate) check: bool,
    /// Change the file instead of printing
    #[arg(long, conflicts_with = "check")]
    pub(crate) write: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// Unchanged lines around each change
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) context: usize,
    /// First file
    pub(crate) old: PathBuf,
    /// Second file
    pub(crate) new: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Such as `POST`
    pub(crate) method: String,
    /// Such as `http://host/webhooks/github?x=1`
    pub(crate) url: String,
    /// A request header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    #[command(flatten)]
    pub(crate) file: File,
}

#[derive(Debug, Args)]
pub(crate) struct Version {
    /// With commit and build date
    #[arg(long)]
    pub(crate) long: bool,
    /// As JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Parses the command line, or gives the exit code after having printed help or a usage error.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, ExitCode> {
    let mut arguments: Vec<OsString> = arguments.into_iter().map(|argument| two_dashes(&argument)).collect();
    if arguments.len() < 2 {
        eprintln!("{USAGE}");
        return Err(ExitCode::from(2));
    }
    if let [_, only] = arguments.as_mut_slice()
        && only == "help"
    {
        *only = OsString::from("--help");
    }
    Arguments::try_parse_from(arguments).map_err(|error| {
        let help = !error.use_stderr();
        if help {
            let _closed_output = error.print();
            return ExitCode::SUCCESS;
        }
        // In the case that Go's flag package uses, which scripts look for.
        eprint!("{}", error.render().to_string().replace("\nUsage: ", "\nusage: "));
        ExitCode::from(2)
    })
}

/// `-config` as `--config`; `-H`, `-h` and `-` stay.
fn two_dashes(argument: &OsStr) -> OsString {
    match argument.to_str() {
        Some(text)
            if text
                .strip_prefix('-')
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with(|c: char| c.is_ascii_lowercase())) =>
        {
            OsString::from(format!("-{text}"))
        }
        _ => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Arguments, ExitCode> {
        parse(text.split(' ').map(OsString::from))
    }

    #[test]
    fn one_dash_is_as_good_as_two() {
        for text in ["hookaido run -config a -watch", "hookaido run --config=a --watch"] {
            let Ok(Arguments { command: Command::Run(run) }) = parsed(text) else { panic!("{text}") };
            assert_eq!((run.config, run.watch), (Some(PathBuf::from("a")), true));
        }
    }

    #[test]
    fn bad_usage_is_refused() {
        for text in
            ["hookaido", "hookaido nope", "hookaido run --log-level loud", "hookaido config", "hookaido config diff a"]
                .into_iter()
                .chain(["hookaido db", "hookaido db stats a", "hookaido db backup", "hookaido db check --format xml"])
        {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
