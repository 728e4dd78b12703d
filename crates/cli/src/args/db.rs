//! Arguments of `hookaido db`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::QUEUE;

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Messages by route and state, oldest ready message, sizes; also while a server runs
    #[command(override_usage = "hookaido db stats [OPTIONS]")]
    Stats(DbFile),
    /// Whether the file is sound; exit code 1 if it is not; also while a server runs
    #[command(override_usage = "hookaido db check [OPTIONS]")]
    Check(DbFile),
    /// Give free space back to the disk; only while no server runs
    #[command(override_usage = "hookaido db vacuum [OPTIONS]")]
    Vacuum(DbFile),
    /// Copy the queue to a file; also while a server runs
    #[command(override_usage = "hookaido db backup [OPTIONS] FILE")]
    Backup(Backup),
    /// Take over the messages and attempts of a Hookaido 2 database; only while no server runs
    #[command(override_usage = "hookaido db import [OPTIONS] FILE")]
    Import(Import),
}

/// Which queue file, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct DbFile {
    /// Queue file
    #[arg(long, value_name = "FILE", default_value = QUEUE)]
    pub(crate) db: PathBuf,
    /// `text` for people, `json` for programs
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// Where the copy goes
    #[arg(value_name = "FILE")]
    pub(crate) to: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) queue: DbFile,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Database of a Hookaido 2 that is not running; it is only read
    #[arg(value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// Pass over what an earlier import took, instead of refusing
    #[arg(long)]
    pub(crate) only_new: bool,
    #[command(flatten)]
    pub(crate) queue: DbFile,
}
