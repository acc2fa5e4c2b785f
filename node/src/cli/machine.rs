//! `kerbholz machine`: enrolment, descriptions, keys and the list of everybody.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::output::{Report, table};
use super::view;
use clap::{Args, Subcommand};
use kerbholz_client::did::key_of_did;
use kerbholz_client::ledger::description::Description;
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::quantity::CommitIndex;
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::MemberKind;
use kerbholz_client::{ClientError, Organisation};
use kerbholz_node::files::{self, FileError};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Commits that pass before an end takes effect; more when the network is quicker than that.
const MARGINS: [u64; 4] = [2, 8, 32, 128];
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
    /// Say what a machine can do, or where it or a meter stands
    Describe(DescribeArgs),
    /// Set what a machine may spend
    Allow(super::allowance::AllowArgs),
    /// Show what a machine may spend, and has spent
    Allowance(super::allowance::AllowanceArgs),
    /// Take the lots of a revoked machine, e.g. `kerbholz machine take-over lathe --as printworks`
    TakeOver {
        /// Name or id
        machine: String,
        /// Its organisation, which will own them
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
    },
    /// Let a replaced signing key end earlier, e.g. `kerbholz machine end-key KEY --as printworks.owner`
    EndKey {
        /// The key, in hexadecimal or as did:key
        key: String,
        /// Whose owner key signs: that of its organisation, or its own
        #[arg(long = "as", value_name = "OWNER")]
        by: String,
        /// The first commit at which it no longer works; as soon as possible without it
        #[arg(long, value_name = "COMMIT")]
        from: Option<u64>,
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

/// What a machine can do, and where it stands.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz machine describe printer --service sintering --process \"SLS PA12\" --watts 6000 \
    --location \"Hall 3, Bremen\" --grid-zone DE --as printworks\n\n\
    Takes the place of what was said before. Buyers find it with `kerbholz member list --service`."
)]
pub struct DescribeArgs {
    /// The machine or meter
    member: String,
    /// A service it offers, as orders name it; may be given several times
    #[arg(long = "service", value_name = "SERVICE")]
    services: Vec<String>,
    /// A process it can perform; may be given several times
    #[arg(long = "process", value_name = "PROCESS")]
    processes: Vec<String>,
    /// The power on its nameplate, in watts
    #[arg(long)]
    watts: Option<u64>,
    /// Where it stands
    #[arg(long, value_name = "PLACE", default_value = "")]
    location: String,
    /// The grid zone it draws from
    #[arg(long, value_name = "ZONE", default_value = "")]
    grid_zone: String,
    /// Its organisation
    #[arg(long = "as", value_name = "ORGANISATION")]
    by: String,
}

/// Does it.
pub async fn run(context: &Context, command: MachineCommand) -> Result<Report, CliError> {
    match command {
        MachineCommand::Enrol { name, by } => enrol(context, &name, &by).await,
        MachineCommand::Describe(args) => describe(context, args).await,
        MachineCommand::Allow(args) => super::allowance::set(context, args).await,
        MachineCommand::Allowance(args) => super::allowance::show(context, &args).await,
        MachineCommand::TakeOver { machine, by } => take_over(context, &machine, &by).await,
        MachineCommand::EndKey { key, by, from } => end_key(context, &key, &by, from).await,
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

/// Every kind of member.
pub const ANYBODY: &[MemberKind] = &[
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
    let from = at_commit(&organisation, from, async |from| {
        organisation.revoke(id, from, reason).await.map(drop)
    });
    let from = from.await?;
    context.keep_seen(&organisation);
    let text = format!("{} is no member any more from commit {from} on", row.name);
    Ok(Report::new(text, json!({ "member": id, "revoked_from": from })))
}

/// Does something that names a commit which must not have passed: the one that is asked for, or as
/// soon as possible. Returns which it was.
async fn at_commit(
    organisation: &Organisation,
    asked: Option<u64>,
    attempt: impl AsyncFn(CommitIndex) -> Result<(), ClientError>,
) -> Result<u64, CliError> {
    let now = organisation.info().await?.commit.get();
    let attempts = match asked {
        Some(commit) => vec![commit],
        None => MARGINS.iter().map(|margin| now.saturating_add(*margin)).collect(),
    };
    let last = attempts.len().saturating_sub(1);
    for (number, from) in attempts.into_iter().enumerate() {
        let result = attempt(CommitIndex::new(from)).await;
        let passed = matches!(&result, Err(ClientError::Rejected { rejection, .. })
            if rejection.code == Code::CommitInPast);
        if passed && number < last {
            continue;
        }
        result?;
        return Ok(from);
    }
    Err(CliError::Other("no commit to begin from".into()))
}

async fn describe(context: &Context, args: DescribeArgs) -> Result<Report, CliError> {
    let organisation = context.organisation(&args.by).await?;
    let members = Members::load(&organisation).await?;
    let (id, row) = members.find(&args.member, &[MemberKind::Machine, MemberKind::Meter])?;
    let sorted =
        |list: Vec<String>| list.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let description = Description {
        member: id,
        services: sorted(args.services),
        processes: sorted(args.processes),
        nameplate_watts: args.watts,
        location: args.location,
        grid_zone: args.grid_zone,
    };
    organisation.describe(description.clone()).await?;
    context.keep_seen(&organisation);
    let text = match description.services.as_slice() {
        [] => format!("Described {}", row.name),
        services => format!("Described {}: it is found by {}", row.name, services.join(", ")),
    };
    Ok(Report::new(text, json!(description)))
}

async fn take_over(context: &Context, machine: &str, by: &str) -> Result<Report, CliError> {
    let organisation = context.organisation(by).await?;
    let members = Members::load(&organisation).await?;
    let (id, row) = members.find(machine, &[MemberKind::Machine])?;
    let count = organisation.take_over(id).await?;
    context.keep_seen(&organisation);
    let text = format!("{by} has taken {count} lots of {}", row.name);
    Ok(Report::new(text, json!({ "machine": id, "lots": count })))
}

async fn end_key(
    context: &Context,
    key: &str,
    by: &str,
    from: Option<u64>,
) -> Result<Report, CliError> {
    let public = match key.starts_with("did:") {
        true => key_of_did(key).map_err(|error| CliError::Usage(error.to_string()))?,
        false => key.parse().map_err(|error| CliError::Usage(format!("{key:?}: {error}")))?,
    };
    let owner = context.organisation(by).await?;
    let end = async |from| owner.end_key(public, from).await.map(drop);
    let from = at_commit(&owner, from, end).await?;
    context.keep_seen(&owner);
    let text = format!("{key} works no more from commit {from} on");
    Ok(Report::new(text, json!({ "key": public, "until": from })))
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
