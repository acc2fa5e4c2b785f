//! `kerbholz machine`: enrolment, keys and the list of everybody.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::output::{Report, table};
use super::view;
use clap::Subcommand;
use kerbholz_client::ClientError;
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::quantity::CommitIndex;
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::MemberKind;
use kerbholz_node::files::{self, FileError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Commits that pass before a revocation takes effect; more when the network is quicker than that.
const REVOCATION_MARGINS: [u64; 4] = [2, 8, 32, 128];
/// Commits for which a replaced key still works: what is under way is not refused.
const ROTATION_MARGIN: u64 = 128;

/// What can be done with machines.
#[derive(Subcommand)]
pub enum MachineCommand {
    /// Enrol a machine, e.g. `kerbholz machine enrol lathe --as printworks`
    Enrol {
        /// What people call it; its key goes to DIR/members/NAME.key
        #[arg(value_parser = amount::name)]
        name: String,
        /// The organisation it belongs to
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
    },
    /// List all members, e.g. `kerbholz machine list`
    List,
    /// Show a member, e.g. `kerbholz machine show printer`
    Show {
        /// Name or id
        member: String,
    },
    /// End a membership, e.g. `kerbholz machine revoke lathe --as printworks --reason sold`
    Revoke {
        /// Name or id
        member: String,
        /// Its organisation
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
        /// The first commit at which it no longer holds; as soon as possible without it
        #[arg(long, value_name = "COMMIT")]
        from: Option<u64>,
    },
    /// Replace a signing key, e.g. `kerbholz machine rotate-key printer --as printworks`
    RotateKey {
        /// Name; the old key moves to DIR/members/NAME.owner.key, as it stays the owner key
        #[arg(value_parser = amount::name)]
        member: String,
        /// Its organisation, or the owner key file itself
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
    },
}

/// Does it.
pub async fn run(context: &Context, command: MachineCommand) -> Result<Report, CliError> {
    match command {
        MachineCommand::Enrol { name, by } => enrol(context, &name, &by).await,
        MachineCommand::List => list(context).await,
        MachineCommand::Show { member } => show(context, &member).await,
        MachineCommand::Revoke { member, by, reason, from } => {
            revoke(context, &member, &by, &reason, from).await
        }
        MachineCommand::RotateKey { member, by } => rotate_key(context, &member, &by).await,
    }
}

/// The key for a member to be enrolled: the one in its file, from an attempt that did not get
/// through, or a new one. It is on disk before the ledger knows it.
pub fn key_for(path: &Path) -> Result<Keypair, CliError> {
    if path.exists() {
        return Ok(files::read_key(path)?);
    }
    let key = files::new_key()?;
    files::write_key(path, &key)?;
    Ok(key)
}

/// What to say about a new member.
pub fn enrolled(name: &str, id: MemberId, key_file: &Path) -> Report {
    let text = format!("Enrolled {name} ({}), key in {}", id.short(), key_file.display());
    Report::new(text, json!({ "name": name, "member": id, "key_file": key_file }))
}

async fn enrol(context: &Context, name: &str, by: &str) -> Result<Report, CliError> {
    let organisation = context.organisation(by).await?;
    let path = context.key_file(name);
    let key = key_for(&path)?;
    let id = organisation.enrol_machine(name, &key).await?;
    context.keep_seen(&organisation);
    Ok(enrolled(name, id, &path))
}

async fn list(context: &Context) -> Result<Report, CliError> {
    let members = Members::load(&context.reader()?).await?;
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by_key(|(_, row)| (members.name(row.organisation), row.kind, row.name.clone()));
    let rows = sorted.iter().map(|(id, row)| {
        let key = if context.key_file(&row.name).exists() { "here" } else { "" };
        vec![
            row.name.clone(),
            view::kind(row.kind).into(),
            members.name(row.organisation),
            id.short(),
            key.into(),
            row.revoked_from.map(|from| format!("from commit {}", from.get())).unwrap_or_default(),
        ]
    });
    let header = ["name", "kind", "organisation", "id", "key", "revoked"];
    let text = table(&header, rows.collect(), &[]);
    let json: Vec<Value> = sorted.iter().map(|(id, row)| view::member(*id, row)).collect();
    Ok(Report::new(text, json!({ "members": json })))
}

const ANYBODY: &[MemberKind] = &[
    MemberKind::Organisation,
    MemberKind::Machine,
    MemberKind::Meter,
    MemberKind::Publisher,
    MemberKind::Auditor,
];

async fn show(context: &Context, member: &str) -> Result<Report, CliError> {
    let members = Members::load(&context.reader()?).await?;
    let (id, row) = members.find(member, ANYBODY)?;
    let text = format!(
        "{} ({})\nid            {id}\norganisation  {}\nsigning key   {}\nowner key     {}{}",
        row.name,
        view::kind(row.kind),
        members.name(row.organisation),
        row.signing_key,
        row.owner_key,
        row.revoked_from
            .map(|from| format!("\nrevoked from  commit {}", from.get()))
            .unwrap_or_default(),
    );
    Ok(Report::new(text, view::member(id, row)))
}

async fn revoke(
    context: &Context,
    member: &str,
    by: &str,
    reason: &str,
    from: Option<u64>,
) -> Result<Report, CliError> {
    let organisation = context.organisation(by).await?;
    let members = Members::load(&organisation).await?;
    let (id, row) = members.find(member, &[MemberKind::Machine, MemberKind::Meter])?;
    let now = organisation.info().await?.commit.get();
    let attempts = match from {
        Some(commit) => vec![commit],
        None => REVOCATION_MARGINS.iter().map(|margin| now.saturating_add(*margin)).collect(),
    };
    let last = attempts.len().saturating_sub(1);
    for (attempt, from) in attempts.into_iter().enumerate() {
        let result = organisation.revoke(id, CommitIndex::new(from), reason).await;
        let passed = matches!(&result, Err(ClientError::Rejected { rejection, .. })
            if rejection.code == Code::CommitInPast);
        if passed && attempt < last {
            continue;
        }
        result?;
        context.keep_seen(&organisation);
        let text = format!("{} is no member any more from commit {from} on", row.name);
        return Ok(Report::new(text, json!({ "member": id, "revoked_from": from })));
    }
    Err(CliError::Other("no commit to revoke from".into()))
}

async fn rotate_key(context: &Context, member: &str, by: &str) -> Result<Report, CliError> {
    let organisation = context.organisation(by).await?;
    let members = Members::load(&organisation).await?;
    let (id, row) = members.find(member, ANYBODY)?;
    let path = context.key_file(member);
    let fresh = beside(&path, "new.key");
    let key = key_for(&fresh)?;
    // After an attempt that was interrupted here, the ledger may have the new key already.
    if key.public() != row.signing_key {
        let until = organisation.info().await?.commit.get().saturating_add(ROTATION_MARGIN);
        organisation.rotate_key(id, &key, CommitIndex::new(until)).await?;
        context.keep_seen(&organisation);
    }
    let owner = beside(&path, "owner.key");
    if path.exists() && !owner.exists() {
        rename(&path, &owner)?;
    }
    rename(&fresh, &path)?;
    let text = format!("{member} signs with a new key, in {}", path.display());
    let json = json!({ "member": id, "signing_key": key.public(), "key_file": path });
    Ok(Report::new(text, json))
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    path.with_extension(extension)
}

fn rename(from: &Path, to: &Path) -> Result<(), CliError> {
    let failed = |source| FileError::Io { path: to.to_owned(), source };
    Ok(std::fs::rename(from, to).map_err(failed)?)
}
