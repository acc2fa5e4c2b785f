//! `kerbholz evidence`: which authorities signed two blocks of one round, and the proof of it.
//!
//! Each authority knows what it has seen itself, so every one of the present committee is asked. Whom
//! they accuse may be of an earlier one: the committees are proved, and name it.

use super::authority::proved;
use super::context::Context;
use super::error::CliError;
use super::output::{Report, table};
use clap::Subcommand;
use kerbholz_client::committees::Committees;
use kerbholz_client::evidence::{ACCUSATION_BYTES_MAX, Accusation, Offender, Verdict};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::keys::PublicKey;
use kerbholz_client::ledger::quantity::Epoch;
use kerbholz_client::network::read_genesis;
use kerbholz_client::{ClientError, Session};
use kerbholz_node::files::{self, FileError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What can be done with evidence.
#[derive(Subcommand)]
pub enum EvidenceCommand {
    /// List the authorities that signed two blocks of one round, as the others have seen it, e.g.
    /// `kerbholz evidence list`
    List,
    /// Get the proof of it, e.g. `kerbholz evidence get authority-2 --out authority-2.evidence`
    Get {
        /// The authority: its name, its key, or 6 or more digits of the key
        authority: String,
        /// The file to write; it must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Which of the cases that an authority keeps, from 0
        #[arg(long, default_value_t = 0)]
        number: u32,
    },
}

/// Does it.
pub async fn run(context: &Context, command: EvidenceCommand) -> Result<Report, CliError> {
    match command {
        EvidenceCommand::List => list(context).await,
        EvidenceCommand::Get { authority, out, number } => {
            get(context, &authority, &out, number).await
        }
    }
}

/// What one authority has seen.
struct Witness {
    name: String,
    position: usize,
    offenders: Vec<Offender>,
}

/// What everybody of the present committee was asked, and said.
struct Inquiry {
    session: Session,
    committees: Committees,
    witnesses: Vec<Witness>,
    /// Who did not answer.
    silent: Vec<String>,
}

impl Inquiry {
    /// Finds out who the authorities are, and asks them.
    async fn of(context: &Context) -> Result<Self, CliError> {
        let mut session = context.reader()?;
        let committees = proved(&session).await?;
        if context.keep_committee(committees.row())? {
            session = context.reader()?;
        }
        let (witnesses, mut silent) = witnesses(&session).await?;
        let contacts = session.network().authorities();
        let unknown = |key| contacts.iter().all(|contact| contact.key != key);
        let without_address = committees.authorities().iter().filter(|one| unknown(one.key));
        silent.extend(without_address.map(|one| one.name.clone()));
        Ok(Self { session, committees, witnesses, silent })
    }

    fn name_of(&self, key: PublicKey) -> Option<&str> {
        Some(self.committees.authority(key)?.name.as_str())
    }
}

/// Asks everybody. An error only if nobody answers.
async fn witnesses(session: &Session) -> Result<(Vec<Witness>, Vec<String>), CliError> {
    let names = session.network().authorities().iter().map(|one| one.name.clone());
    let asked = names.enumerate().map(|(position, name)| {
        let session = session.clone();
        let answer = tokio::spawn(async move { session.offenders_of(position).await });
        (position, name, answer)
    });
    let asked: Vec<_> = asked.collect();
    let (mut witnesses, mut silent, mut unreached) = (Vec::new(), Vec::new(), None);
    for (position, name, answer) in asked {
        match answer.await.map_err(|error| CliError::Other(error.to_string()))? {
            Ok(offenders) => witnesses.push(Witness { name, position, offenders }),
            Err(error) => {
                silent.push(name);
                unreached = Some(error);
            }
        }
    }
    match unreached.filter(|_| witnesses.is_empty()) {
        Some(error) => Err(error.into()),
        None => Ok((witnesses, silent)),
    }
}

async fn list(context: &Context) -> Result<Report, CliError> {
    let inquiry = Inquiry::of(context).await?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for witness in &inquiry.witnesses {
        for Offender { key, seen, kept } in &witness.offenders {
            let name = inquiry.name_of(*key).map_or_else(|| key.to_string(), ToOwned::to_owned);
            let first = kept.first();
            let first = first.map(|(epoch, round)| format!("epoch {epoch}, round {round}"));
            let first = first.unwrap_or_default();
            let (times, proofs) = (seen.to_string(), kept.len().to_string());
            rows.push(vec![name.clone(), times, first, proofs, witness.name.clone()]);
            let kept: Vec<Value> = kept
                .iter()
                .map(|(epoch, round)| json!({ "epoch": epoch, "round": round }))
                .collect();
            documents.push(json!({
                "authority": name, "key": key, "seen": seen, "kept": kept,
                "seen_by": witness.name,
            }));
        }
    }
    let mut text = if rows.is_empty() {
        "No authority was seen to sign two blocks of one round.".to_owned()
    } else {
        let header = ["authority", "times", "first", "proofs", "seen by"];
        let get = "Get the proof of one: kerbholz evidence get AUTHORITY --out FILE";
        format!("{}\n\n{get}", table(&header, rows, &[1, 3]))
    };
    let silent = inquiry.silent;
    if !silent.is_empty() {
        text.push_str(&format!("\nNot reached: {}", silent.join(", ")));
    }
    Ok(Report::new(text, json!({ "evidence": documents, "not_reached": silent })))
}

async fn get(
    context: &Context,
    authority: &str,
    out: &Path,
    number: u32,
) -> Result<Report, CliError> {
    if out.exists() {
        return Err(FileError::Exists(out.to_owned()).into());
    }
    let inquiry = Inquiry::of(context).await?;
    let key = named(&inquiry, authority)?;
    let mut refused = None;
    for witness in &inquiry.witnesses {
        let known = witness.offenders.iter().any(|offender| offender.key == key);
        if !known {
            continue;
        }
        match inquiry.session.accusation_of(witness.position, key, number).await {
            Ok(Some((accusation, verdict))) => {
                files::write_new(out, &accusation.encode(), false)?;
                return Ok(written(context, out, &verdict));
            }
            Ok(None) => {}
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or(ClientError::Unknown("evidence of this number")).into())
}

/// Whether an authority is meant: by its name, or by digits of its key, as for ids.
fn is_meant(key: &PublicKey, name: Option<&str>, what: &str) -> bool {
    const DIGITS_MIN: usize = 6;
    name == Some(what) || what.len() >= DIGITS_MIN && key.to_string().starts_with(what)
}

/// The key of the offender that is meant.
fn named(inquiry: &Inquiry, what: &str) -> Result<PublicKey, CliError> {
    let offenders = inquiry.witnesses.iter().flat_map(|witness| &witness.offenders);
    let meant = |key: &PublicKey| is_meant(key, inquiry.name_of(*key), what);
    let mut keys: Vec<PublicKey> = offenders.map(|offender| offender.key).filter(meant).collect();
    keys.sort_unstable();
    keys.dedup();
    match keys[..] {
        [key] => Ok(key),
        [] => Err(CliError::Usage(unaccused(inquiry, what))),
        _ => Err(CliError::Usage(format!("{what:?} may be several: give more digits of the key"))),
    }
}

/// Why there is no evidence against somebody: nobody is called so, or nobody who answered has any.
fn unaccused(inquiry: &Inquiry, what: &str) -> String {
    let committees = &inquiry.committees;
    let epochs = (0..=committees.epoch().get()).filter_map(|it| committees.row_of(Epoch::new(it)));
    let mut authorities = epochs.flat_map(|row| &row.authorities);
    if !authorities.any(|one| is_meant(&one.key, Some(&one.name), what)) {
        return format!(
            "no authority is or was called {what:?}, or has this key: see `kerbholz authority list`"
        );
    }
    let witnesses: Vec<&str> = inquiry.witnesses.iter().map(|one| one.name.as_str()).collect();
    let mut text = format!("{} kept no evidence against {what:?}", witnesses.join(", "));
    if !inquiry.silent.is_empty() {
        text.push_str(&format!("; not reached: {}", inquiry.silent.join(", ")));
    }
    text
}

fn written(context: &Context, out: &Path, verdict: &Verdict) -> Report {
    let genesis = context.dir().join(kerbholz_client::network::GENESIS_FILE);
    let text = format!(
        "Wrote {}. Verify it, anywhere:\n  kerbholz audit evidence {} --genesis {}",
        out.display(),
        out.display(),
        genesis.display(),
    );
    let (authority, epoch) = (&verdict.authority, verdict.epoch);
    let json = json!({
        "file": out, "authority": authority.name, "key": authority.key, "epoch": epoch,
        "round": verdict.blocks[0].round,
    });
    Report::new(text, json)
}

/// Verifies a file offline, for `kerbholz audit evidence`.
pub fn verify(file: &Path, genesis: &Path) -> Result<Report, CliError> {
    let failed = |source| FileError::Io { path: file.to_owned(), source };
    let genesis = read_genesis(genesis)?;
    let length = std::fs::metadata(file).map_err(failed)?.len();
    if length > ACCUSATION_BYTES_MAX as u64 {
        let reason = format!("{length} bytes: no evidence is longer than {ACCUSATION_BYTES_MAX}");
        return Err(FileError::Malformed { path: file.to_owned(), reason }.into());
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    let verdict = Accusation::decode(&bytes).and_then(|accusation| accusation.verify(&genesis))?;
    Ok(proven(&genesis, &verdict))
}

/// What verified evidence proves.
fn proven(genesis: &Genesis, verdict: &Verdict) -> Report {
    let Verdict { authority, epoch, blocks } = verdict;
    let [first, second] = blocks;
    let mut lines = vec![
        "The evidence verifies. It proves:".to_owned(),
        format!("network      {} ({})", genesis.name, genesis.network().short()),
        format!("authority    {} signed two blocks of round {}", authority.name, first.round),
        format!("             by its key {}", authority.key),
        format!("first        {}", first.digest),
        format!("second       {}", second.digest),
    ];
    if *epoch > 0 {
        lines.push(format!("committee    that of epoch {epoch}, proved from the genesis on"));
    }
    lines.push("No honest authority does this: it is faulty, or its key was stolen.".into());
    let json = json!({
        "verified": true, "network": genesis.network(), "authority": authority.name,
        "key": authority.key, "epoch": epoch, "round": first.round,
        "first": first.digest, "second": second.digest,
    });
    Report::new(lines.join("\n"), json)
}
