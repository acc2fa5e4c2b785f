//! Who plays: the factor set is published, machines and meters are enrolled, money is issued; then
//! every machine and meter connects with its own key.

use super::stories::{MeterName, Stories};
use super::timing::Timing;
use super::{DemoError, PUBLISHER};
use crate::factors::FactorFile;
use crate::files;
use crate::setup::member_key;
use kerbholz_client::network::Network;
use kerbholz_client::{ClientError, Machine, Meter, Organisation, Publisher, Session};
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::id::{FactorSetId, MemberId};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::operation::{Enrolled, FactorPublication, MeterKind, MoneyIssue, Operation};
use kerbholz_ledger::quantity::{CommitIndex, Minor, Timestamp, Unit};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Operations of one transaction, at most.
const OPERATIONS_AT_ONCE: usize = 32;
/// What organisations get is rounded up to so many minor units.
const MONEY_STEP: u64 = 100_000;

/// A meter and where its register stands: the register is a chain, so only one reads at a time.
pub struct MeterPost {
    /// The meter.
    pub meter: Meter,
    /// The factor of its grid zone.
    pub factor: FactorRef,
    /// Where the register stands, and until when it was read.
    pub register: Mutex<(u64, Timestamp)>,
}

/// Everybody who acts.
pub struct Cast {
    /// Machines by (organisation, name).
    pub machines: BTreeMap<(String, String), Machine>,
    /// Meters.
    pub meters: BTreeMap<MeterName, Arc<MeterPost>>,
    /// The published factors.
    pub factors: FactorSetId,
    /// The newest commit that all this is in.
    pub commit: CommitIndex,
}

/// New keys of one organisation's machines and meters.
struct Newcomers {
    organisation: String,
    machines: Vec<(String, Keypair)>,
    meters: Vec<(MeterName, Keypair)>,
}

impl Cast {
    /// Publishes, enrols, issues, connects.
    ///
    /// # Errors
    /// [`DemoError::Step`] says what was refused or not answered.
    pub async fn assemble(
        folder: &Path,
        network: &Network,
        stories: &Stories,
        timing: &Timing,
    ) -> Result<Self, DemoError> {
        let publishing = publish(folder, network, stories, timing);
        let newcomers = newcomers(stories)?;
        let mut enrolling = JoinSet::new();
        for newcomers in newcomers {
            let key = key(folder, &newcomers.organisation)?;
            let (network, timing) = (network.clone(), timing.clone());
            enrolling.spawn(async move { enrol(&network, &key, newcomers, &timing).await });
        }
        let issuing = issue(folder, network, stories, timing);
        let (published, issued) = tokio::try_join!(publishing, issuing)?;
        let (factors, mut commit) = published;
        commit = commit.max(issued);
        let mut enrolled = Vec::new();
        while let Some(joined) = enrolling.join_next().await {
            let joined =
                joined.map_err(|error| DemoError::Missing(format!("a member: {error}")))?;
            let (newcomers, at) = joined?;
            commit = commit.max(at);
            enrolled.push(newcomers);
        }
        Self::connect(network, enrolled, factors, commit).await
    }

    async fn connect(
        network: &Network,
        enrolled: Vec<Newcomers>,
        factors: FactorSetId,
        commit: CommitIndex,
    ) -> Result<Self, DemoError> {
        let mut machines = JoinSet::new();
        let mut meters = JoinSet::new();
        for newcomers in enrolled {
            for (name, key) in newcomers.machines {
                let session = session(network, &key, commit)?;
                let place = (newcomers.organisation.clone(), name);
                machines.spawn(async move { (place, Machine::over(session).await) });
            }
            for (name, key) in newcomers.meters {
                let session = session(network, &key, commit)?;
                meters.spawn(async move { (name, Meter::over(session).await) });
            }
        }
        let mut cast = Self { machines: BTreeMap::new(), meters: BTreeMap::new(), factors, commit };
        while let Some(Ok((place, machine))) = machines.join_next().await {
            let machine = machine.map_err(DemoError::step(format!("{} connects", place.1)))?;
            cast.machines.insert(place, machine);
        }
        while let Some(Ok((name, meter))) = meters.join_next().await {
            let meter = meter.map_err(DemoError::step(format!("{} connects", name.name)))?;
            let factor = FactorRef { set: factors, code: name.factor.clone() };
            let register = Mutex::new((0, Timestamp::ZERO));
            cast.meters.insert(name, Arc::new(MeterPost { meter, factor, register }));
        }
        Ok(cast)
    }
}

pub(super) fn session(
    network: &Network,
    key: &Keypair,
    seen: CommitIndex,
) -> Result<Session, DemoError> {
    let session = Session::open(network, key).map_err(DemoError::step("a machine connects"))?;
    session.catch_up_with(seen);
    Ok(session)
}

fn key(folder: &Path, member: &str) -> Result<Keypair, DemoError> {
    let key = files::read_key(&member_key(folder, member));
    key.map_err(|error| DemoError::Stories(error.to_string()))
}

fn new_key() -> Result<Keypair, DemoError> {
    files::new_key().map_err(|error| DemoError::Stories(error.to_string()))
}

async fn publish(
    folder: &Path,
    network: &Network,
    stories: &Stories,
    timing: &Timing,
) -> Result<(FactorSetId, CommitIndex), DemoError> {
    let failed = || DemoError::step("the publisher publishes the factors");
    let publisher = Publisher::connect(network, &key(folder, PUBLISHER)?).await.map_err(failed())?;
    let FactorFile { name, version, factors, .. } = stories.factors.clone();
    let set = FactorSetId::of(publisher.id(), &name, version);
    let publication = FactorPublication { name, version, factors };
    let phase = timing.phase();
    let applied = publisher.submit(vec![Operation::PublishFactors(publication)]).await;
    timing.record(phase, applied.map_err(failed())?.finality);
    Ok((set, publisher.seen()))
}

/// Gives every organisation what its machines will spend.
async fn issue(
    folder: &Path,
    network: &Network,
    stories: &Stories,
    timing: &Timing,
) -> Result<CommitIndex, DemoError> {
    let failed = || DemoError::step("money is issued");
    // The first organisation of the genesis issues the currency.
    let Some(issuer) = network.genesis().organisations.first() else {
        return Ok(CommitIndex::ZERO);
    };
    let key = key(folder, &issuer.name)?;
    let issuer = Organisation::connect(network, &key).await.map_err(failed())?;
    let mut operations = Vec::new();
    for (organisation, spending) in stories.spending() {
        let Some(to) = network.genesis().organisation(&organisation) else { continue };
        let amount = spending.div_ceil(MONEY_STEP).max(1).saturating_mul(MONEY_STEP);
        operations.push(Operation::IssueMoney(MoneyIssue {
            currency: stories.currency.clone(),
            to,
            amount: Minor::new(amount),
        }));
    }
    for some in operations.chunks(OPERATIONS_AT_ONCE) {
        let phase = timing.phase();
        let applied = issuer.submit(some.to_vec()).await.map_err(failed())?;
        timing.record(phase, applied.finality);
    }
    Ok(issuer.seen())
}

fn newcomers(stories: &Stories) -> Result<Vec<Newcomers>, DemoError> {
    let mut newcomers: BTreeMap<String, Newcomers> = BTreeMap::new();
    let empty = |organisation: &str| Newcomers {
        organisation: organisation.to_owned(),
        machines: Vec::new(),
        meters: Vec::new(),
    };
    for (organisation, machine) in stories.machines() {
        let of = newcomers.entry(organisation.clone()).or_insert_with(|| empty(&organisation));
        of.machines.push((machine, new_key()?));
    }
    for meter in stories.meters() {
        let organisation = meter.organisation.clone();
        let of = newcomers.entry(organisation.clone()).or_insert_with(|| empty(&organisation));
        of.meters.push((meter, new_key()?));
    }
    Ok(newcomers.into_values().collect())
}

async fn enrol(
    network: &Network,
    key: &Keypair,
    newcomers: Newcomers,
    timing: &Timing,
) -> Result<(Newcomers, CommitIndex), DemoError> {
    let what = format!("{} enrols its machines and meters", newcomers.organisation);
    let failed = |error: ClientError| DemoError::Step { what: what.clone(), source: error };
    let organisation = Organisation::connect(network, key).await.map_err(failed)?;
    let hosts: BTreeMap<&str, MemberId> = newcomers
        .machines
        .iter()
        .map(|(name, key)| (name.as_str(), MemberId::of(&key.public())))
        .collect();
    let mut operations = Vec::new();
    for (name, key) in &newcomers.machines {
        operations.push(organisation.enrolment(name, key, Enrolled::Machine));
    }
    for (name, key) in &newcomers.meters {
        let host = hosts.get(name.machine.as_str()).copied();
        let kind = MeterKind {
            host: host.ok_or_else(|| DemoError::Missing(format!("machine {}", name.machine)))?,
            product: "electricity".into(),
            unit: Unit::Joule,
            factor_code: name.factor.clone(),
            register: 0,
            register_end: None,
        };
        operations.push(organisation.enrolment(&name.name, key, Enrolled::Meter(kind)));
    }
    for some in operations.chunks(OPERATIONS_AT_ONCE) {
        let phase = timing.phase();
        let applied = organisation.submit(some.to_vec()).await.map_err(failed)?;
        timing.record(phase, applied.finality);
    }
    let commit = organisation.seen();
    Ok((newcomers, commit))
}
