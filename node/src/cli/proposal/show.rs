//! Proposals for people and for programs.

use crate::cli::authority::{describe as describe_change, name_of};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::find::{self, Members};
use crate::cli::limit::limit_json;
use crate::cli::output::{Report, table};
use crate::cli::view;
use kerbholz_client::Session;
use kerbholz_client::ledger::committee::quorum;
use kerbholz_client::ledger::factor::Impact;
use kerbholz_client::ledger::governance::{Action, AdmittedKind, ProposalState};
use kerbholz_client::ledger::id::ProposalId;
use kerbholz_client::ledger::rows::{CommitteeRow, ProposalRow};
use serde_json::{Value, json};
use std::time::Duration;

const fn state(state: ProposalState) -> &'static str {
    match state {
        ProposalState::Open => "open",
        ProposalState::Passed => "passed",
        ProposalState::Failed => "failed",
        ProposalState::Expired => "expired",
    }
}

const fn kind(kind: AdmittedKind) -> &'static str {
    match kind {
        AdmittedKind::Organisation => "organisation",
        AdmittedKind::Publisher => "publisher",
        AdmittedKind::Auditor => "auditor",
    }
}

fn impacts(impacts: &[Impact]) -> String {
    let one = |one: &Impact| {
        format!("{} {}", one.dimension.name(), view::component(one.dimension, one.value))
    };
    match impacts {
        [] => "no restatement".to_owned(),
        several => several.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

fn impacts_json(impacts: &[Impact]) -> Vec<Value> {
    let one = |one: &Impact| json!({ "dimension": one.dimension, "value": one.value.to_string() });
    impacts.iter().map(one).collect()
}

/// An action in words, to follow "to".
fn describe(action: &Action, members: &Members) -> String {
    match action {
        Action::Admit(one) => {
            format!("admit {} {} ({})", kind(one.kind), one.name, one.member().short())
        }
        Action::Remove(one) => {
            format!("remove {} from commit {} on", members.name(one.member), one.from.get())
        }
        Action::SetIssuer(one) => {
            format!("let {} issue {}", members.name(one.issuer), one.currency)
        }
        Action::SetLimits(list) => {
            let names: Vec<&str> = list.limits.iter().map(|limit| limit.name.as_str()).collect();
            match names.as_slice() {
                [] => "set no limits of the network".to_owned(),
                names => format!("set the network's limits {}", names.join(", ")),
            }
        }
        Action::SetMateriality(thresholds) => {
            format!("have auditors countersign {}", impacts(thresholds))
        }
        Action::SetOperators(operators) => {
            let names: Vec<String> = operators.iter().map(|one| members.name(*one)).collect();
            format!("let book upkeep: {}", names.join(", "))
        }
        Action::Activate(one) => {
            format!("activate protocol version {} from commit {} on", one.version, one.from.get())
        }
        Action::ReplaceOwnerKey(one) => {
            let key = one.owner_key.short();
            format!("replace the owner key of {} by {key}", members.name(one.member))
        }
    }
}

fn action_json(action: &Action) -> Value {
    match action {
        // Values of 128 bits are text.
        Action::SetLimits(list) => {
            json!({ "set_limits": list.limits.iter().map(limit_json).collect::<Vec<_>>() })
        }
        Action::SetMateriality(thresholds) => {
            json!({ "set_materiality": impacts_json(thresholds) })
        }
        Action::Admit(_)
        | Action::Remove(_)
        | Action::SetIssuer(_)
        | Action::SetOperators(_)
        | Action::Activate(_)
        | Action::ReplaceOwnerKey(_) => json!(action),
    }
}

/// What it takes to show proposals: who the authorities and members are.
struct Shown {
    committee: CommitteeRow,
    members: Members,
}

impl Shown {
    async fn load(session: &Session) -> Result<Self, CliError> {
        let committee = session.committee().await?;
        Ok(Self { committee, members: Members::load(session).await? })
    }

    fn json(&self, id: ProposalId, row: &ProposalRow) -> Value {
        let (approvals, rejections) = row.count(&self.committee.authorities);
        let ballot = |ballot: &kerbholz_client::ledger::governance::Ballot| {
            json!({
                "authority": name_of(&ballot.voter, &self.committee), "key": ballot.voter,
                "approve": ballot.approve, "commit": ballot.commit,
                "time": view::time(ballot.time), "counts": self.committee.has(&ballot.voter),
            })
        };
        json!({
            "proposal": id, "state": state(row.state), "action": action_json(&row.proposal.action),
            "text": describe(&row.proposal.action, &self.members), "reason": row.proposal.reason,
            "proposer": name_of(&row.proposer, &self.committee), "epoch": row.epoch,
            "opened_at": view::time(row.opened_at),
            "open_until": view::time(row.proposal.open_until),
            "ended_at": row.ended_at.map(view::time),
            "approvals": approvals, "rejections": rejections,
            "quorum": quorum(self.committee.authorities.len()),
            "ballots": row.ballots.iter().map(ballot).collect::<Vec<_>>(),
        })
    }
}

/// Where a proposal stands, after something was done about it.
pub async fn stands(session: &Session, id: ProposalId) -> Result<Report, CliError> {
    let row = session.proposal(id).await?;
    let shown = Shown::load(session).await?;
    let what = describe(&row.proposal.action, &shown.members);
    let (approvals, rejections) = row.count(&shown.committee.authorities);
    let needed = quorum(shown.committee.authorities.len());
    let text = match row.state {
        ProposalState::Open => format!(
            "Proposal {id} to {what}: {approvals} of the {needed} votes that it takes, {rejections} \
             against it; open until {}.\nThe others vote: kerbholz proposal approve {} --as AUTHORITY",
            view::time(row.proposal.open_until),
            id.short(),
        ),
        ended => format!("Proposal {id} to {what}: {}.", state(ended)),
    };
    Ok(Report::new(text, shown.json(id, &row)))
}

/// A proposal with its votes.
pub async fn one(context: &Context, text: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let id = find::proposal(&session, text).await?;
    let row = session.proposal(id).await?;
    let shown = Shown::load(&session).await?;
    let votes = row.ballots.iter().map(|ballot| {
        let counts = if shown.committee.has(&ballot.voter) { "" } else { "has left" };
        vec![
            name_of(&ballot.voter, &shown.committee),
            if ballot.approve { "for" } else { "against" }.to_owned(),
            view::time(ballot.time),
            ballot.commit.get().to_string(),
            counts.to_owned(),
        ]
    });
    let ended = row.ended_at.map(|at| format!(" at {}", view::time(at))).unwrap_or_default();
    let text = format!(
        "Proposal {id}\nto          {}\nbecause     {}\nproposed by {} at {}\nopen until  {}\nstate       \
         {}{ended}\n\n{}",
        describe(&row.proposal.action, &shown.members),
        row.proposal.reason,
        name_of(&row.proposer, &shown.committee),
        view::time(row.opened_at),
        view::time(row.proposal.open_until),
        state(row.state),
        table(&["authority", "vote", "when", "commit", ""], votes.collect(), &[3]),
    );
    Ok(Report::new(text, shown.json(id, &row)))
}

/// Open proposals and what is voted on the committee, or proposals that have ended.
pub async fn list(context: &Context, ended: Option<u64>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let shown = Shown::load(&session).await?;
    let proposals = match ended {
        Some(most) => session.ended_proposals(most).await?,
        None => session.open_proposals().await?,
    };
    let row = |(id, row): &(ProposalId, ProposalRow)| {
        let (approvals, rejections) = row.count(&shown.committee.authorities);
        let end = row.ended_at.unwrap_or(row.proposal.open_until);
        vec![
            id.short(),
            describe(&row.proposal.action, &shown.members),
            state(row.state).to_owned(),
            format!("{approvals} : {rejections}"),
            view::time(end),
        ]
    };
    let documents = proposals.iter().map(|(id, row)| shown.json(*id, row)).collect::<Vec<_>>();
    let needed = quorum(shown.committee.authorities.len());
    let rows: Vec<_> = proposals.iter().map(row).collect();
    if ended.is_some() {
        let header = ["proposal", "to", "state", "for : against", "ended"];
        let text = table(&header, rows, &[]);
        return Ok(Report::new(text, json!({ "quorum": needed, "proposals": documents })));
    }
    let changes = session.proposals(&shown.committee).await?;
    let header = ["proposal", "to", "state", "for : against", "open until"];
    let mut text = match rows.is_empty() {
        true => "No proposal is open.".to_owned(),
        false => table(&header, rows, &[]),
    };
    for change in &changes {
        let what = describe_change(&change.change, &shown.committee);
        text += &format!("\nCommittee: {} of {needed} vote to {what}.", change.votes.len());
    }
    let change = |one: &kerbholz_client::ledger::query::Proposal| {
        let by: Vec<_> = one.votes.iter().map(|key| name_of(key, &shown.committee)).collect();
        json!({ "change": one.change, "votes": one.votes.len(), "by": by })
    };
    let changes: Vec<Value> = changes.iter().map(change).collect();
    let json = json!({ "quorum": needed, "proposals": documents, "committee": changes });
    Ok(Report::new(text, json))
}

/// What governance has set.
pub async fn rules(context: &Context) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let rules = session.rules().await?;
    let mut lines = vec![format!("protocol version  {}", rules.version)];
    let ahead = rules.activation.filter(|row| row.activation.version != rules.version);
    if let Some(row) = ahead {
        let (version, from) = (row.activation.version, row.activation.from.get());
        lines.push(format!("next              {version} from commit {from} on"));
    }
    lines.push(format!("countersigned     {}", impacts(&rules.materiality)));
    for (code, currency) in &rules.currencies {
        lines.push(format!("{code:<17} issued by {}", members.name(currency.issuer)));
    }
    let limits: Vec<&str> = rules.limits.iter().map(|limit| limit.name.as_str()).collect();
    let limits = if limits.is_empty() { "none".to_owned() } else { limits.join(", ") };
    lines.push(format!("limits            {limits}"));
    if let Some(upkeep) = &rules.upkeep {
        let names: Vec<String> = upkeep.operators.iter().map(|one| members.name(*one)).collect();
        let period = humantime::format_duration(Duration::from_millis(upkeep.period.get()));
        lines.push(format!("upkeep            booked by {}, every {period}", names.join(", ")));
    }
    let currencies = rules.currencies.iter().map(|(code, row)| {
        json!({
            "code": code, "issuer": row.issuer, "issued_minor": row.issued,
            "available_minor": row.available, "held_minor": row.held,
            "redeemed_minor": row.redeemed,
        })
    });
    let activation = rules.activation.map(|row| row.activation);
    let json = json!({
        "protocol_version": rules.version, "activation": activation,
        "materiality": impacts_json(&rules.materiality),
        "limits": rules.limits.iter().map(limit_json).collect::<Vec<_>>(),
        "upkeep": rules.upkeep, "currencies": currencies.collect::<Vec<_>>(),
    });
    Ok(Report::new(lines.join("\n"), json))
}
