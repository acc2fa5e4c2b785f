//! `kerbholz status`: how the authorities are, and those former ones that still run.

use super::context::Context;
use super::error::CliError;
use super::output::{Report, table};
use kerbholz_client::committees::Committees;
use kerbholz_client::ledger::committee::Authority;
use kerbholz_client::ledger::quantity::Epoch;
use kerbholz_client::protocol::NodeInfo;
use kerbholz_client::{ClientError, Network, Session};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a former authority is waited for: most of them are gone for good.
const FORMER_WITHIN: Duration = Duration::from_secs(2);

/// What one authority said, by its name.
type Said = (String, Result<NodeInfo, ClientError>);

/// How every authority is.
pub async fn run(context: &Context) -> Result<Report, CliError> {
    let mut session = context.reader()?;
    let no_more = match session.committees().await {
        Ok(committees) => {
            if context.keep_committee(committees.row())? {
                session = context.reader()?;
            }
            no_more(&committees)
        }
        // Nobody answers, then, or not to this: then nobody is asked who is not known.
        Err(error @ ClientError::Connection(_)) => return Err(error.into()),
        Err(_) => Vec::new(),
    };
    let former = former(context, session.network().with_authorities(no_more));
    let (present, former) = tokio::join!(ask(&session), former);
    let present = present?;
    if present.iter().any(|(_, said)| said.is_ok()) {
        return Ok(report(&present, &former?));
    }
    let unreached = present.into_iter().find_map(|(_, said)| said.err());
    Err(unreached.unwrap_or(ClientError::TimedOut("an answer")).into())
}

/// Asks every authority that a session knows.
async fn ask(session: &Session) -> Result<Vec<Said>, CliError> {
    let names = session.network().authorities().iter().map(|one| one.name.clone());
    let asked = names.enumerate().map(|(index, name)| {
        let session = session.clone();
        (name, tokio::spawn(async move { session.info_of(index).await }))
    });
    let mut answers = Vec::new();
    for (name, answer) in asked.collect::<Vec<_>>() {
        answers.push((name, answer.await.map_err(|error| CliError::Other(error.to_string()))?));
    }
    Ok(answers)
}

/// Those of a network's authorities that answer: whoever runs one may want to stop it.
async fn former(context: &Context, network: Network) -> Result<Vec<NodeInfo>, CliError> {
    if network.authorities().is_empty() {
        return Ok(Vec::new());
    }
    let session = context.reader_of(&network, FORMER_WITHIN)?;
    Ok(ask(&session).await?.into_iter().filter_map(|(_, said)| said.ok()).collect())
}

/// The authorities of earlier epochs whose keys are in the newest committee no more.
fn no_more(committees: &Committees) -> Vec<Authority> {
    let epochs = (0..=committees.epoch().get()).rev();
    let mut seen: Vec<_> = committees.authorities().iter().map(|one| one.key).collect();
    let mut former = Vec::new();
    for row in epochs.filter_map(|epoch| committees.row_of(Epoch::new(epoch))) {
        for one in &row.authorities {
            if !seen.contains(&one.key) {
                seen.push(one.key);
                former.push(one.clone());
            }
        }
    }
    former
}

fn report(present: &[Said], former: &[NodeInfo]) -> Report {
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for (name, said) in present {
        match said {
            Ok(info) => {
                rows.push(info_row(info, &info.name));
                documents.push(info_json(info, true));
            }
            Err(error) => {
                rows.push(vec![name.clone(), "not reached".into()]);
                documents.push(json!({ "name": name, "error": error.to_string() }));
            }
        }
    }
    for info in former {
        rows.push(info_row(info, &format!("{} (former)", info.name)));
        documents.push(info_json(info, false));
    }
    let header = [
        "authority",
        "duty",
        "epoch",
        "round",
        "commit",
        "checkpoint",
        "connected",
        "transactions",
        "memory",
        "cpu",
    ];
    let text = table(&header, rows, &[2, 3, 4, 5, 6, 7, 8, 9]);
    Report::new(text, json!({ "authorities": documents }))
}

fn info_row(info: &NodeInfo, name: &str) -> Vec<String> {
    vec![
        name.to_owned(),
        info.duty.text().into(),
        info.epoch.to_string(),
        info.round.to_string(),
        info.commit.get().to_string(),
        info.checkpoint.get().to_string(),
        info.connected.to_string(),
        info.transactions.to_string(),
        format!("{} MiB", info.resident_bytes >> 20),
        humantime::format_duration(Duration::from_millis(info.cpu_ms)).to_string(),
    ]
}

fn info_json(info: &NodeInfo, member: bool) -> Value {
    json!({
        "name": info.name, "version": info.version, "commit": info.commit.get(),
        "checkpoint": info.checkpoint.get(), "epoch": info.epoch, "round": info.round,
        "member": member,
        "duty": info.duty, "duty_text": info.duty.text(), "connected": info.connected,
        "waiting": info.waiting, "transactions": info.transactions,
        "bytes_sent": info.bytes_sent, "bytes_received": info.bytes_received,
        "cpu_ms": info.cpu_ms, "resident_bytes": info.resident_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
    use kerbholz_client::protocol::Duty;

    fn info(name: &str) -> NodeInfo {
        NodeInfo {
            name: name.into(),
            version: "1".into(),
            commit: CommitIndex::new(7),
            commit_time: Timestamp::ZERO,
            checkpoint: CommitIndex::new(6),
            epoch: 1,
            round: 40,
            duty: Duty::Follows,
            connected: 3,
            waiting: 0,
            transactions: 5,
            bytes_sent: 1,
            bytes_received: 2,
            cpu_ms: 1_500,
            resident_bytes: 3 << 20,
        }
    }

    #[test]
    fn who_left_the_committee_and_still_runs_is_shown_as_such() {
        let present = [
            ("a".to_owned(), Ok(info("a"))),
            ("b".to_owned(), Err(ClientError::TimedOut("an answer"))),
        ];
        let report = report(&present, &[info("c")]);
        let lines: Vec<&str> = report.text.lines().collect();
        assert!(lines[1].starts_with("a ") && lines[2].contains("not reached"), "{lines:?}");
        assert!(lines[3].starts_with("c (former)") && lines.len() == 4, "{lines:?}");
        let members: Vec<_> = report.json["authorities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["member"].as_bool())
            .collect();
        assert_eq!(members, [Some(true), None, Some(false)]);
    }
}
