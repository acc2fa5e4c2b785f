//! `kerbholz proposal`: what authorities decide by vote, besides their committee. How proposals are
//! shown is in `proposal/show.rs`.

mod show;

use super::amount;
use super::authority::key_of;
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::limit::read_limits;
use super::member::{read_admission, read_replacement};
use super::output::Report;
use clap::{Args, Subcommand};
use kerbholz_client::ledger::factor::Impact;
use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::governance::{Action, Activation, IssuerChange, Removal};
use kerbholz_client::ledger::limit::LimitList;
use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_client::ledger::rows::MemberKind;
use kerbholz_client::session::now;
use std::path::PathBuf;
use std::time::Duration;

/// What can be proposed, and done with proposals.
#[derive(Subcommand)]
pub enum ProposalCommand {
    /// Admit an organisation, publisher or auditor: `kerbholz proposal admit FILE --as authority-0 --reason agreed`
    #[command(
        after_help = "Example:\n  kerbholz proposal admit foundry.admission.json --as authority-0 --reason \"joined in May\""
    )]
    Admit {
        /// What `kerbholz member new` made
        file: PathBuf,
        #[command(flatten)]
        by: ByArgs,
    },
    /// End the membership of an organisation with its machines, a publisher or an auditor
    #[command(
        after_help = "Example:\n  kerbholz proposal remove foundry --as authority-0 --reason \"left\""
    )]
    Remove {
        /// Name or id
        member: String,
        /// The first commit at which it is no member; the one after the decision, where that is later
        #[arg(long, value_name = "COMMIT", default_value_t = 0)]
        from: u64,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Name who issues a currency: a new one, or another in the place of the present one
    #[command(
        after_help = "Example:\n  kerbholz proposal issuer USD bank --as authority-0 --reason \"dollars\""
    )]
    Issuer {
        /// Its code
        currency: String,
        /// The organisation
        issuer: String,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Set the network's limits from a file as for `kerbholz limit set`
    #[command(
        after_help = "Example:\n  kerbholz proposal limits limits.toml --as authority-0 --reason \"agreed caps\""
    )]
    Limits {
        /// The file; all limits that the network had before go
        file: PathBuf,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Set from which change on a restatement needs an auditor
    #[command(
        after_help = "Example:\n  kerbholz proposal materiality climate=5000000000000 --as authority-0 --reason \"5 kg\""
    )]
    Materiality {
        /// Thresholds in the dimension's unit; none: no restatement needs an auditor
        #[arg(value_name = "DIMENSION=VALUE", value_parser = threshold)]
        thresholds: Vec<Impact>,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Name the organisations that book what authorities use
    #[command(
        after_help = "Example:\n  kerbholz proposal operators forge printworks --as authority-0 --reason \"all hosts\""
    )]
    Operators {
        /// Names or ids: all of them, in the place of those before
        organisations: Vec<String>,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Activate a version of the protocol from a commit on; nodes that do not know it stop there
    #[command(
        after_help = "Example:\n  kerbholz proposal version 2 --from 120000 --as authority-0 --reason \"all are upgraded\""
    )]
    Version {
        /// Above the active one
        version: u32,
        /// The first commit that is executed by it
        #[arg(long, value_name = "COMMIT")]
        from: u64,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Replace the owner key of an organisation, publisher or auditor that has lost its own
    #[command(
        after_help = "Example:\n  kerbholz proposal owner-key foundry foundry.owner-key.json --as authority-0 --reason \"key lost\"\n\n\
        The file is made by `kerbholz member recover`."
    )]
    OwnerKey {
        /// Name or id
        member: String,
        /// What `kerbholz member recover` made
        file: PathBuf,
        #[command(flatten)]
        by: ByArgs,
    },
    /// Vote for a proposal, e.g. `kerbholz proposal approve 3fa29c --as authority-1`
    Approve {
        /// Its id, or the beginning of it
        proposal: String,
        /// Whose vote: signs with DIR/authorities/NAME/key, or with the key in a file
        #[arg(long = "as", value_name = "AUTHORITY")]
        by: String,
    },
    /// Vote against a proposal, e.g. `kerbholz proposal oppose 3fa29c --as authority-1`
    Oppose {
        /// Its id, or the beginning of it
        proposal: String,
        /// Whose vote: signs with DIR/authorities/NAME/key, or with the key in a file
        #[arg(long = "as", value_name = "AUTHORITY")]
        by: String,
    },
    /// List open proposals, and what is voted on the committee: `kerbholz proposal list`
    List {
        /// Those that have ended instead, the latest first: so many
        #[arg(long, value_name = "COUNT", num_args = 0..=1, default_missing_value = "50")]
        ended: Option<u64>,
    },
    /// Show a proposal, and who voted what and when: `kerbholz proposal show 3fa29c`
    Show {
        /// Its id, or the beginning of it
        proposal: String,
    },
    /// Show what governance has set: `kerbholz proposal rules`
    Rules,
}

/// Who proposes, why and for how long.
#[derive(Args)]
pub struct ByArgs {
    /// Whose proposal: signs with DIR/authorities/NAME/key, or with the key in a file
    #[arg(long = "as", value_name = "AUTHORITY")]
    by: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// How long it can be voted on: a minute to 90 days
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = amount::span)]
    open_for: Duration,
}

/// Does it.
pub async fn run(context: &Context, command: ProposalCommand) -> Result<Report, CliError> {
    match command {
        ProposalCommand::Admit { file, by } => {
            let action = Action::Admit(read_admission(context, &file)?);
            propose(context, action, by).await
        }
        ProposalCommand::Remove { member, from, by } => {
            let kinds = [MemberKind::Organisation, MemberKind::Publisher, MemberKind::Auditor];
            let members = Members::load(&context.reader()?).await?;
            let (member, _) = members.find(&member, &kinds)?;
            let removal = Removal { member, from: CommitIndex::new(from) };
            propose(context, Action::Remove(removal), by).await
        }
        ProposalCommand::Issuer { currency, issuer, by } => {
            let members = Members::load(&context.reader()?).await?;
            let (issuer, _) = members.find(&issuer, &[MemberKind::Organisation])?;
            propose(context, Action::SetIssuer(IssuerChange { currency, issuer }), by).await
        }
        ProposalCommand::Limits { file, by } => {
            let limits = LimitList { limits: read_limits(&file)? };
            propose(context, Action::SetLimits(limits), by).await
        }
        ProposalCommand::Materiality { mut thresholds, by } => {
            thresholds.sort_by_key(|threshold| threshold.dimension);
            propose(context, Action::SetMateriality(thresholds), by).await
        }
        ProposalCommand::Operators { organisations, by } => {
            let members = Members::load(&context.reader()?).await?;
            let id = |name: &String| Ok(members.find(name, &[MemberKind::Organisation])?.0);
            let operators: Result<_, CliError> = organisations.iter().map(id).collect();
            propose(context, Action::SetOperators(operators?), by).await
        }
        ProposalCommand::Version { version, from, by } => {
            let activation = Activation { version, from: CommitIndex::new(from) };
            propose(context, Action::Activate(activation), by).await
        }
        ProposalCommand::OwnerKey { member, file, by } => {
            let members = Members::load(&context.reader()?).await?;
            let kinds = [MemberKind::Organisation, MemberKind::Publisher, MemberKind::Auditor];
            let (member, _) = members.find(&member, &kinds)?;
            let replacement = read_replacement(&file, member)?;
            propose(context, Action::ReplaceOwnerKey(replacement), by).await
        }
        ProposalCommand::Approve { proposal, by } => vote(context, &proposal, &by, true).await,
        ProposalCommand::Oppose { proposal, by } => vote(context, &proposal, &by, false).await,
        ProposalCommand::List { ended } => show::list(context, ended).await,
        ProposalCommand::Show { proposal } => show::one(context, &proposal).await,
        ProposalCommand::Rules => show::rules(context).await,
    }
}

async fn propose(context: &Context, action: Action, by: ByArgs) -> Result<Report, CliError> {
    let key = key_of(context, &by.by)?;
    let session = context.reader()?;
    let open = u64::try_from(by.open_for.as_millis()).unwrap_or(u64::MAX);
    let open_until = Timestamp::new(now().get().saturating_add(open));
    let (id, _) = session.propose(&key, action, &by.reason, open_until).await?;
    context.keep_seen(&session);
    show::stands(&session, id).await
}

async fn vote(
    context: &Context,
    proposal: &str,
    by: &str,
    approve: bool,
) -> Result<Report, CliError> {
    let key = key_of(context, by)?;
    let session = context.reader()?;
    let id = find::proposal(&session, proposal).await?;
    session.vote_on(&key, id, approve).await?;
    context.keep_seen(&session);
    show::stands(&session, id).await
}

/// `climate=5000000000000`.
fn threshold(text: &str) -> Result<Impact, String> {
    let (name, value) = text.split_once('=').ok_or("write it as DIMENSION=VALUE")?;
    let found = Dimension::ALL.iter().find(|dimension| dimension.name() == name);
    let dimension = *found.ok_or_else(|| format!("there is no dimension {name:?}"))?;
    let value = value.parse().map_err(|error| format!("{value:?} is no whole number: {error}"))?;
    Ok(Impact { dimension, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    #[test]
    fn thresholds_are_written_by_name() {
        let five = Impact { dimension: Dimension::Climate, value: 5 };
        assert_eq!(threshold("climate=5"), Ok(five));
        for bad in ["climate", "=5", "weather=5", "climate=5 kg", "climate="] {
            assert!(threshold(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_proposes_says_who_and_why() {
        let line = |words: &str| {
            let words = format!("kerbholz proposal {words}");
            Cli::try_parse_from(words.split_whitespace()).is_ok()
        };
        let by = "--as authority-0 --reason agreed";
        for good in [
            "admit f.json",
            "remove x",
            "remove x --from 9",
            "issuer USD x",
            "limits f.toml",
            "materiality",
            "materiality climate=5 water=1",
            "operators",
            "operators x y",
            "version 2 --from 9",
            "version 2 --from 9 --open-for 2h",
        ] {
            assert!(line(&format!("{good} {by}")), "{good}");
            assert!(!line(good), "{good}");
        }
        for bad in ["version 2", "admit", "issuer USD"] {
            assert!(!line(&format!("{bad} {by}")), "{bad}");
        }
        for good in ["list", "list --ended", "list --ended 3", "rules", "show 3fa29c"] {
            assert!(line(good), "{good}");
        }
    }
}
