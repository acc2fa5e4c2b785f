//! `kerbholz authority`: who the authorities are, and how they change their committee.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::network::{PaceArg, authority_config};
use super::output::{Report, table};
use clap::{Args, Subcommand};
use kerbholz_client::Session;
use kerbholz_client::committees::Committees;
use kerbholz_client::ledger::committee::{Authority, Candidate, CommitteeChange, quorum};
use kerbholz_client::ledger::keys::{Keypair, PublicKey};
use kerbholz_client::ledger::quantity::Epoch;
use kerbholz_client::ledger::query::Proposal;
use kerbholz_client::ledger::rows::CommitteeRow;
use kerbholz_node::files::{self, FileError};
use kerbholz_node::network::Multiaddr;
use kerbholz_node::setup::{NewAuthority, authority_folder, read_candidate};
use kerbholz_node::storage::SignAfter;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What can be done about authorities.
#[derive(Subcommand)]
pub enum AuthorityCommand {
    /// List the committee, e.g. `kerbholz authority list`
    List {
        /// Of an earlier epoch, and not the present one
        #[arg(long)]
        epoch: Option<u64>,
    },
    /// Make the folder of a new authority, on its machine
    New(NewArgs),
    /// Vote with an authority's key: the change that a quorum votes for takes place
    Vote(VoteArgs),
    /// Show what the authorities vote for, e.g. `kerbholz authority votes`
    Votes,
    /// After the loss of its data: let an authority sign without asking the others
    SignAfter(SignAfterArgs),
}

/// What a new authority is to be like.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz authority new foundry --at /dns4/node.foundry.example/tcp/7001 --pace wan\n\n\
    Then send DIR/authorities/NAME/candidate.json, which is public, to the authorities' operators: \
    they vote on it. Its node may be started before that; it follows until it is voted in."
)]
pub struct NewArgs {
    /// What people call it
    #[arg(value_parser = amount::name)]
    name: String,
    /// Where the others reach it, as a multiaddress; may be given several times
    #[arg(long = "at", required = true, value_name = "ADDRESS")]
    addresses: Vec<Multiaddr>,
    /// Where it listens; without it at those addresses, names replaced by all of the machine's own
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<Multiaddr>,
    /// How far the authorities are apart
    #[arg(long, value_enum, default_value_t = PaceArg::Lan)]
    pace: PaceArg,
}

/// An operator's word.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz authority sign-after 0:1235 --dir rail/authorities/authority-2\n\n\
    The node must not run; start it afterwards. This is believed of this loss only, and of no later one."
)]
pub struct SignAfterArgs {
    /// Above which round of which epoch it has certainly signed nothing, nor in any later epoch.
    ///
    /// An authority that does not know what it has signed asks the others which blocks of it they know, and
    /// signs nothing before enough of them have answered. Only when they cannot, say this instead. No block is
    /// more than a round above what the network has reached: `kerbholz status` shows epoch and round of each
    /// authority; take the highest and add one. The network must get past it before this one signs, so do not add
    /// much. If it has signed above, it signs two blocks for one round: a fault that all others see. In epochs
    /// before this one it says nothing.
    #[arg(value_name = "EPOCH:ROUND")]
    place: SignAfter,
}

/// A vote.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  kerbholz authority vote --add candidate.json --as authority-0\n  \
    kerbholz authority vote --remove authority-2 --as authority-0\n  \
    kerbholz authority vote --replace authority-2 candidate.json --as authority-0\n\n\
    An authority has one vote per epoch: voting again replaces it."
)]
pub struct VoteArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Whose vote: signs with DIR/authorities/NAME/key, or with the key in a file
    #[arg(long = "as", value_name = "AUTHORITY")]
    by: String,
}

/// What to vote for: exactly one of these.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct ChangeArgs {
    /// Add the authority whose candidate file this is
    #[arg(long, value_name = "FILE")]
    add: Option<PathBuf>,
    /// Remove an authority, by name or key
    #[arg(long, value_name = "NAME")]
    remove: Option<String>,
    /// Put the authority of a candidate file in the place of another one
    #[arg(long, num_args = 2, value_names = ["NAME", "FILE"])]
    replace: Option<Vec<String>>,
    /// Take the vote back
    #[arg(long)]
    withdraw: bool,
}

/// Does it.
pub async fn run(context: &Context, command: AuthorityCommand) -> Result<Report, CliError> {
    match command {
        AuthorityCommand::List { epoch } => list(context, epoch).await,
        AuthorityCommand::New(args) => new(context, args),
        AuthorityCommand::Vote(args) => vote(context, args).await,
        AuthorityCommand::Votes => votes(context).await,
        AuthorityCommand::SignAfter(args) => sign_after(context, args.place),
    }
}

async fn list(context: &Context, epoch: Option<u64>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let committees = proved(&session).await?;
    context.keep_seen(&session);
    context.keep_committee(committees.row())?;
    let committee = match epoch {
        Some(epoch) => {
            let missing = || CliError::Usage(format!("epoch {epoch} has not begun"));
            committees.row_of(Epoch::new(epoch)).ok_or_else(missing)?
        }
        None => committees.row(),
    };
    let network = session.network();
    // Where those of the genesis listen is said in a file beside it.
    let addresses = |one: &Authority| match one.addresses.is_empty() {
        true => network.addresses(&one.name).iter().map(ToString::to_string).collect(),
        false => one.addresses.clone(),
    };
    let rows = committee
        .authorities
        .iter()
        .map(|one| vec![one.name.clone(), one.key.short(), addresses(one).join(" ")]);
    let (epoch, size) = (committee.epoch.get(), committee.authorities.len());
    let quorum = quorum(size);
    let origin = match committee.decided_in.get() {
        0 => "of the genesis".to_owned(),
        commit => format!("decided in commit {commit}, proved from the genesis on"),
    };
    let text = format!(
        "{}\n\nEpoch {epoch}, {origin}. {quorum} of {size} decide.",
        table(&["authority", "key", "addresses"], rows.collect(), &[]),
    );
    let documents = committee
        .authorities
        .iter()
        .map(|one| json!({ "name": one.name, "key": one.key, "addresses": addresses(one) }));
    let json = json!({
        "epoch": epoch, "decided_in": committee.decided_in.get(), "quorum": quorum,
        "authorities": documents.collect::<Vec<Value>>(),
    });
    Ok(Report::new(text, json))
}

/// The committees as far as they are proved: up to the present one, if that is so in a moment.
pub(super) async fn proved(session: &Session) -> Result<Committees, CliError> {
    /// A decision is proved by the checkpoint of its commit.
    const ATTEMPTS: usize = 50;
    const PAUSE: Duration = Duration::from_millis(100);
    let mut committees = session.committees().await?;
    for _ in 0..ATTEMPTS {
        if committees.epoch() >= session.ledger().await?.epoch {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        committees = session.committees().await?;
    }
    Ok(committees)
}

fn new(context: &Context, args: NewArgs) -> Result<Report, CliError> {
    let network = context.network()?;
    let text = |addresses: &[Multiaddr]| addresses.iter().map(ToString::to_string).collect();
    let listen = match args.listen.is_empty() {
        true => args.addresses.iter().map(listen_for).collect(),
        false => text(&args.listen),
    };
    let authority = NewAuthority {
        name: args.name,
        addresses: text(&args.addresses),
        listen,
        pace: args.pace.into(),
    };
    let (path, candidate) = authority.create(&network, context.dir())?;
    let home = authority_folder(context.dir(), &authority.name);
    let text = format!(
        "Made {}, with the key of {}.\nSend {} to the authorities' operators; each votes, with its \
         own folder of the network:\n  kerbholz authority vote --dir DIR --add {} --as AUTHORITY\n\
         Then, or now already, start it here:\n  kerbholz node --dir {}",
        home.display(),
        authority.name,
        path.display(),
        kerbholz_node::setup::CANDIDATE_FILE,
        home.display(),
    );
    let json =
        json!({ "name": candidate.name, "key": candidate.key, "dir": home, "candidate": path });
    Ok(Report::new(text, json))
}

fn sign_after(context: &Context, place: SignAfter) -> Result<Report, CliError> {
    let config = authority_config(context)?;
    kerbholz_node::node::sign_after(&config, place)?;
    let (name, dir) = (&config.name, context.dir().display());
    let text = format!(
        "When it is started next, {name} signs above round {} of epoch {} without asking the \
         others.\nStart it:\n  kerbholz node --dir {dir}",
        place.round.0, place.epoch
    );
    let json = json!({ "name": name, "epoch": place.epoch, "round": place.round.0 });
    Ok(Report::new(text, json))
}

/// Where to listen to be reached there: at an IP address itself, for a name at all addresses.
fn listen_for(address: &Multiaddr) -> String {
    let text = address.to_string();
    let mut parts = text.splitn(4, '/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(""), Some("dns" | "dns4"), Some(_), Some(rest)) => format!("/ip4/0.0.0.0/{rest}"),
        (Some(""), Some("dns6"), Some(_), Some(rest)) => format!("/ip6/::/{rest}"),
        _ => text,
    }
}

/// The key that votes: a name in the folder, or a path.
pub(super) fn key_of(context: &Context, by: &str) -> Result<Keypair, CliError> {
    let path = Path::new(by);
    let path = match path.components().count() > 1 {
        true => path.to_owned(),
        false => authority_folder(context.dir(), by).join("key"),
    };
    if !path.exists() {
        let reason = "no such key: an authority votes with the key in its own folder; name the \
                      authority whose folder is here, or the path of its key";
        return Err(FileError::Malformed { path, reason: reason.to_owned() }.into());
    }
    Ok(files::read_key(&path)?)
}

async fn vote(context: &Context, args: VoteArgs) -> Result<Report, CliError> {
    let key = key_of(context, &args.by)?;
    let session = context.reader()?;
    let committee = session.committee().await?;
    let change = args.change.read(&session, &committee)?;
    let epoch = committee.epoch;
    if change.is_none() {
        let voter = key.public();
        let proposals = session.proposals(&committee).await?;
        if !proposals.iter().any(|one| one.votes.contains(&voter)) {
            return Err(CliError::Other(format!(
                "{} has no vote in epoch {}: there is nothing to withdraw. Who voted for what: \
                 kerbholz authority votes",
                name_of(&voter, &committee),
                epoch.get()
            )));
        }
    }
    let applied = session.vote(&key, epoch, change.clone()).await?;
    context.keep_seen(&session);
    let what = change.as_ref().map(|change| describe(change, &committee));
    let proposals = session.proposals(&committee).await?;
    let stands = proposals.iter().find(|one| Some(&one.change) == change.as_ref());
    let votes = stands.map_or(0, |one| one.votes.len());
    let needed = quorum(committee.authorities.len());
    let decided = change.is_some() && votes >= needed;
    let text = match &what {
        None => format!("Withdrew the vote in epoch {}.", epoch.get()),
        Some(what) if decided => format!(
            "Voted to {what}: decided, with {votes} votes. Commit {} was the last of epoch {}.",
            applied.row.commit.get(),
            epoch.get()
        ),
        Some(what) => format!("Voted to {what}: {votes} of the {needed} votes that it takes."),
    };
    let json = json!({
        "transaction": applied.id, "commit": applied.row.commit.get(), "epoch": epoch.get(),
        "change": change, "votes": votes, "quorum": needed, "decided": decided,
    });
    Ok(Report::new(text, json))
}

impl ChangeArgs {
    fn read(
        self,
        session: &Session,
        committee: &CommitteeRow,
    ) -> Result<Option<CommitteeChange>, CliError> {
        let candidate = |path: &Path| -> Result<Candidate, CliError> {
            Ok(read_candidate(path, session.network())?)
        };
        if let Some(path) = self.add {
            return Ok(Some(CommitteeChange::Add(candidate(&path)?)));
        }
        if let Some(name) = self.remove {
            return Ok(Some(CommitteeChange::Remove(find(committee, &name)?)));
        }
        match self.replace.as_deref() {
            Some([name, path]) => {
                let (key, by) = (find(committee, name)?, candidate(Path::new(path))?);
                Ok(Some(CommitteeChange::Replace { key, by }))
            }
            _ => Ok(None),
        }
    }
}

/// The key of an authority of the committee, by its name or by that key.
fn find(committee: &CommitteeRow, name: &str) -> Result<PublicKey, CliError> {
    let by_name = |one: &&Authority| one.name == name || one.key.to_string() == name;
    let found = committee.authorities.iter().find(by_name);
    let missing = || CliError::no_such("authority", name, "kerbholz authority list");
    found.map(|one| one.key).ok_or_else(missing)
}

/// The name of an authority that a change concerns.
pub(super) fn name_of(key: &PublicKey, committee: &CommitteeRow) -> String {
    let found = committee.authorities.iter().find(|one| one.key == *key);
    found.map_or_else(|| key.short(), |one| one.name.clone())
}

/// A change in words, to follow "to".
pub(super) fn describe(change: &CommitteeChange, committee: &CommitteeRow) -> String {
    let candidate = |one: &Candidate| format!("{} (key {})", one.name, one.key.short());
    match change {
        CommitteeChange::Add(one) => format!("add {}", candidate(one)),
        CommitteeChange::Remove(key) => format!("remove {}", name_of(key, committee)),
        CommitteeChange::Replace { key, by } => {
            format!("replace {} by {}", name_of(key, committee), candidate(by))
        }
    }
}

async fn votes(context: &Context) -> Result<Report, CliError> {
    let session = context.reader()?;
    let committee = session.committee().await?;
    let proposals = session.proposals(&committee).await?;
    context.keep_seen(&session);
    Ok(votes_report(&committee, &proposals))
}

fn votes_report(committee: &CommitteeRow, proposals: &[Proposal]) -> Report {
    let (epoch, needed) = (committee.epoch.get(), quorum(committee.authorities.len()));
    let voters = |proposal: &Proposal| -> Vec<String> {
        proposal.votes.iter().map(|key| name_of(key, committee)).collect()
    };
    let rows = proposals.iter().map(|one| {
        let count = format!("{} of {needed}", one.votes.len());
        vec![describe(&one.change, committee), count, voters(one).join(", ")]
    });
    let text = match proposals.is_empty() {
        true => format!("Nobody has voted in epoch {epoch}. A change takes {needed} votes."),
        false => table(&["change", "votes", "by"], rows.collect(), &[]),
    };
    let documents = proposals
        .iter()
        .map(|one| json!({ "change": one.change, "votes": one.votes.len(), "by": voters(one) }));
    let json = json!({
        "epoch": epoch, "quorum": needed, "proposals": documents.collect::<Vec<Value>>(),
    });
    Report::new(text, json)
}

#[cfg(test)]
mod tests;
