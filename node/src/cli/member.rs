//! `kerbholz member`: becoming a member by vote, finding members, and their owner keys.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::machine::{ANYBODY, key_for};
use super::output::{Report, table};
use super::view;
use clap::{Args, Subcommand, ValueEnum};
use kerbholz_client::Session;
use kerbholz_client::did::{did_key, key_of_did};
use kerbholz_client::ledger::directory::MemberFilter;
use kerbholz_client::ledger::governance::{Admission, AdmittedKind};
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::operation::OwnerKeyReplacement;
use kerbholz_client::ledger::rows::{MemberKind, MemberRow, member_key};
use kerbholz_client::roles::owner_key_replacement;
use kerbholz_node::files::{self, FileError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Most bytes of a file that asks for admission.
const ADMISSION_BYTES_MAX: u64 = 16 << 10;

/// What can be done about members.
#[derive(Subcommand)]
pub enum MemberCommand {
    /// Make the keys of a new organisation, publisher or auditor, and what it asks admission with
    New(NewArgs),
    /// List members: by organisation, kind, service and name
    List(ListArgs),
    /// Show a member, e.g. `kerbholz member show printer`
    Show {
        /// Name, id, or the did:key of a key of it
        member: String,
    },
    /// After the loss of an owner key: make another one, for authorities to vote on, e.g. `kerbholz member recover foundry`
    Recover {
        /// Name, id, or did:key; the new key goes to DIR/members/NAME.owner.new.key
        member: String,
    },
    /// Replace an owner key, e.g. `kerbholz member owner-key printer --as printworks.owner`
    OwnerKey {
        /// Name, id, or did:key; the new key goes to DIR/members/NAME.owner.key
        member: String,
        /// Whose owner key signs: that of its organisation, or its own
        #[arg(long = "as", value_name = "OWNER")]
        by: String,
    },
}

/// Whom to list.
#[derive(Args)]
#[command(after_help = "Examples:\n  kerbholz member list --service sintering\n  \
    kerbholz member list --kind machine --organisation printworks --limit 20")]
pub struct ListArgs {
    /// Only this organisation with its machines and meters
    #[arg(long)]
    organisation: Option<String>,
    /// Only members of this kind
    #[arg(long, value_enum)]
    kind: Option<AnyKindArg>,
    /// Only machines that say they offer this service
    #[arg(long)]
    service: Option<String>,
    /// Only those whose name begins so
    #[arg(long, value_name = "BEGINNING", default_value = "")]
    name: String,
    /// Those whose membership has ended, too
    #[arg(long)]
    ended: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
    /// Continue where another list ended, which said `next`
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
}

/// All kinds of member.
#[derive(Clone, Copy, ValueEnum)]
enum AnyKindArg {
    /// A company
    Organisation,
    /// A machine
    Machine,
    /// A meter
    Meter,
    /// A publisher of factors
    Publisher,
    /// An auditor
    Auditor,
}

impl From<AnyKindArg> for MemberKind {
    fn from(kind: AnyKindArg) -> Self {
        match kind {
            AnyKindArg::Organisation => Self::Organisation,
            AnyKindArg::Machine => Self::Machine,
            AnyKindArg::Meter => Self::Meter,
            AnyKindArg::Publisher => Self::Publisher,
            AnyKindArg::Auditor => Self::Auditor,
        }
    }
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
        MemberCommand::List(args) => list(context, args).await,
        MemberCommand::Show { member } => show(context, &member).await,
        MemberCommand::Recover { member } => recover(context, &member).await,
        MemberCommand::OwnerKey { member, by } => new_owner_key(context, &member, &by).await,
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

async fn list(context: &Context, args: ListArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let organisation = match &args.organisation {
        Some(name) => {
            let members = Members::load(&session).await?;
            Some(members.find(name, &[MemberKind::Organisation])?.0)
        }
        None => None,
    };
    let filter = MemberFilter {
        organisation,
        kind: args.kind.map(MemberKind::from),
        service: args.service,
        name: args.name,
        ended: args.ended,
    };
    let after = args.after.map(hex::decode).transpose();
    let after = after.map_err(|error| CliError::Usage(format!("--after: {error}")))?;
    let page = session.find_members(&filter, after.as_deref(), args.limit.max(1)).await?;
    let rows = page.members.iter().map(|(id, row)| {
        let ended = row.revoked_from.map(|from| format!("ends with commit {}", from.get()));
        vec![
            row.name.clone(),
            view::kind(row.kind).into(),
            id.short(),
            row.organisation.short(),
            did_key(&row.signing_key),
            ended.unwrap_or_default(),
        ]
    });
    let header = ["name", "kind", "id", "organisation", "did of the signing key", ""];
    let mut text = table(&header, rows.collect(), &[]);
    let next = page.next.map(hex::encode);
    if let Some(next) = &next {
        text += &format!("\nThere are more: --after {next}");
    }
    let members: Vec<Value> = page.members.iter().map(|(id, row)| view::member(*id, row)).collect();
    Ok(Report::new(text, json!({ "members": members, "next": next })))
}

/// The member of a name, an id or a did:key.
async fn find(session: &Session, text: &str) -> Result<(MemberId, MemberRow), CliError> {
    if text.starts_with("did:") {
        let key = key_of_did(text).map_err(|error| CliError::Usage(error.to_string()))?;
        return Ok(session.member_with_key(&key).await?);
    }
    let members = Members::load(session).await?;
    let (id, row) = members.find(text, ANYBODY)?;
    Ok((id, row.clone()))
}

async fn show(context: &Context, text: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let (id, row) = find(&session, text).await?;
    let organisation: Option<MemberRow> = session.row(member_key(row.organisation)).await?;
    let organisation = organisation.map_or_else(|| row.organisation.short(), |row| row.name);
    let mut text = format!(
        "{} ({})\nid            {id}\norganisation  {organisation}\nsigning key   {}\n              \
         {}\nowner key     {}\n              {}{}",
        row.name,
        view::kind(row.kind),
        row.signing_key,
        did_key(&row.signing_key),
        row.owner_key,
        did_key(&row.owner_key),
        row.revoked_from
            .map(|from| format!("\nends with     commit {}", from.get()))
            .unwrap_or_default(),
    );
    let mut json = view::member(id, &row);
    if let Some(said) = session.description(id).await? {
        let list = |list: &[String]| list.join(", ");
        for (what, value) in [
            ("services", list(&said.services)),
            ("processes", list(&said.processes)),
            (
                "nameplate",
                said.nameplate_watts.map(|watts| format!("{watts} W")).unwrap_or_default(),
            ),
            ("location", said.location.clone()),
            ("grid zone", said.grid_zone.clone()),
        ] {
            if !value.is_empty() {
                text += &format!("\n{what:<14}{value}");
            }
        }
        if let Value::Object(fields) = &mut json {
            fields.insert("description".into(), json!(said));
        }
    }
    Ok(Report::new(text, json))
}

async fn new_owner_key(context: &Context, member: &str, by: &str) -> Result<Report, CliError> {
    let organisation = context.organisation(by).await?;
    let (id, row) = find(&organisation, member).await?;
    let path = context.key_file(&row.name).with_extension("owner.key");
    let fresh = path.with_extension("new.key");
    let key = key_for(&fresh)?;
    // After an attempt that was interrupted here, the ledger may have the new key already.
    if key.public() != row.owner_key {
        organisation.replace_owner_key(id, &key).await?;
        context.keep_seen(&organisation);
    }
    let failed = |source| FileError::Io { path: path.clone(), source };
    std::fs::rename(&fresh, &path).map_err(failed)?;
    let text = format!("{} has a new owner key, in {}", row.name, path.display());
    Ok(Report::new(text, json!({ "member": id, "owner_key": key.public(), "key_file": path })))
}

async fn recover(context: &Context, member: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let (id, row) = find(&session, member).await?;
    let path = context.key_file(&row.name).with_extension("owner.new.key");
    let key = key_for(&path)?;
    let replacement = owner_key_replacement(session.network().id(), id, &key);
    let file = context.key_file(&row.name).with_extension("owner-key.json");
    let text = serde_json::to_string_pretty(&replacement)
        .map_err(|error| CliError::Other(error.to_string()))?;
    files::write(&file, format!("{text}\n").as_bytes(), false)?;
    let text = format!(
        "Made another owner key of {}, in {}, and {}.\nSend that file to an authority's operator, who \
         proposes it:\n  kerbholz proposal owner-key {} FILE --as AUTHORITY --reason \"...\"\nTell the \
         others by a way they trust that it is yours.",
        row.name,
        path.display(),
        file.display(),
        row.name,
    );
    let json = json!({ "member": id, "owner_key": key.public(), "key_file": path, "file": file });
    Ok(Report::new(text, json))
}

/// Reads what a member that has lost its owner key asks for.
pub fn read_replacement(path: &Path, member: MemberId) -> Result<OwnerKeyReplacement, CliError> {
    let malformed = |reason: String| FileError::Malformed { path: path.to_owned(), reason };
    let replacement: OwnerKeyReplacement = serde_json::from_str(&files::read_text(path)?)
        .map_err(|error| {
            malformed(format!(
                "this is no owner key: {error}. Ask for the file as `kerbholz member recover` made it"
            ))
        })?;
    if replacement.member != member {
        return Err(malformed("it is for another member: name that one".to_owned()).into());
    }
    Ok(replacement)
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
