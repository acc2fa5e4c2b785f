//! `kerbholz key`: key files.

use super::error::CliError;
use super::output::Report;
use clap::Subcommand;
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_node::files;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What can be done with key files.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Make a key that only its owner may read, e.g. `kerbholz key new press.key`
    New {
        /// The file; it must not exist yet
        file: PathBuf,
    },
    /// Show a key's public half and the member id it is enrolled as, e.g. `kerbholz key show press.key`
    Show {
        /// The file
        file: PathBuf,
    },
}

/// Makes or shows a key file.
pub fn run(command: KeyCommand) -> Result<Report, CliError> {
    match command {
        KeyCommand::New { file } => {
            let key = files::new_key()?;
            files::write_key(&file, &key)?;
            Ok(report(&file, &key))
        }
        KeyCommand::Show { file } => Ok(report(&file, &files::read_key(&file)?)),
    }
}

fn report(file: &Path, key: &Keypair) -> Report {
    let (public, member) = (key.public(), MemberId::of(&key.public()));
    let text = format!("file    {}\npublic  {public}\nmember  {member}", file.display());
    Report::new(text, json!({ "file": file, "public_key": public, "member": member }))
}
