//! `kerbholz member`: becoming a member by vote.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::machine::key_for;
use super::output::Report;
use clap::{Args, Subcommand, ValueEnum};
use kerbholz_client::ledger::governance::{Admission, AdmittedKind};
use kerbholz_node::files::{self, FileError};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Most bytes of a file that asks for admission.
const ADMISSION_BYTES_MAX: u64 = 16 << 10;

/// What can be done about members.
#[derive(Subcommand)]
pub enum MemberCommand {
    /// Make the keys of a new organisation, publisher or auditor, and what it asks admission with
    New(NewArgs),
}

/// Who wants to become a member.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz member new foundry --kind organisation\n\n\
    Then send DIR/members/NAME.admission.json, which is public, to an authority's operator: it proposes it \
    (`kerbholz proposal admit`), and the authorities vote.")]
pub struct NewArgs {
    /// What people call it; its keys go to DIR/members/NAME.key and NAME.owner.key
    #[arg(value_parser = amount::name)]
    name: String,
    /// What it is to be
    #[arg(long, value_enum, default_value_t = KindArg::Organisation)]
    kind: KindArg,
}

/// The kinds of member that are admitted by vote.
#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    /// A company
    Organisation,
    /// A publisher of factors
    Publisher,
    /// An auditor
    Auditor,
}

impl From<KindArg> for AdmittedKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Organisation => Self::Organisation,
            KindArg::Publisher => Self::Publisher,
            KindArg::Auditor => Self::Auditor,
        }
    }
}

/// Does it.
pub async fn run(context: &Context, command: MemberCommand) -> Result<Report, CliError> {
    match command {
        MemberCommand::New(args) => new(context, &args),
    }
}

fn new(context: &Context, args: &NewArgs) -> Result<Report, CliError> {
    let network = context.network()?;
    let path = context.key_file(&args.name);
    let (signing, owner) = (key_for(&path)?, key_for(&path.with_extension("owner.key"))?);
    let kind = args.kind.into();
    let admission = Admission::new(network.id(), kind, args.name.clone(), &owner, &signing);
    let file = path.with_extension("admission.json");
    let text = serde_json::to_string_pretty(&admission)
        .map_err(|error| CliError::Other(error.to_string()))?;
    files::write(&file, format!("{text}\n").as_bytes(), false)?;
    let id = admission.member();
    let text = format!(
        "Made the keys of {} ({}), and {}.\nSend that file to an authority's operator, who proposes \
         it:\n  kerbholz proposal admit FILE --as AUTHORITY --reason \"...\"\nKeep {} safe, away from \
         this machine: it replaces the other one.",
        args.name,
        id.short(),
        file.display(),
        path.with_extension("owner.key").display(),
    );
    let json = json!({ "name": args.name, "member": id, "kind": kind, "admission": file });
    Ok(Report::new(text, json))
}

/// Reads what somebody asks admission with, and checks that it is for this network.
pub fn read_admission(context: &Context, path: &Path) -> Result<Admission, CliError> {
    let path: PathBuf = path.to_owned();
    let malformed = |reason: String| FileError::Malformed { path: path.clone(), reason };
    let failed = |source| FileError::Io { path: path.clone(), source };
    if std::fs::metadata(&path).map_err(failed)?.len() > ADMISSION_BYTES_MAX {
        return Err(malformed(format!("longer than {ADMISSION_BYTES_MAX} bytes")).into());
    }
    let admission: Admission =
        serde_json::from_str(&files::read_text(&path)?).map_err(|error| {
            malformed(format!(
                "this asks for no admission: {error}. Ask for the file as `kerbholz member new` made it"
            ))
        })?;
    if admission.verify(context.network()?.id()).is_err() {
        let reason = "its keys have not signed this name and kind for this network: ask for the file as \
                      `kerbholz member new` made it";
        return Err(malformed(reason.to_owned()).into());
    }
    Ok(admission)
}
