//! Playing on a network that runs already, e.g. `kerbholz dev`: what is not there yet is enrolled,
//! published and issued; what is there is used. Everything can be repeated.

use super::DemoError;
use super::cast::{Cast, MeterPost, session};
use super::stories::{MeterName, Stories};
use crate::files;
use crate::setup::member_key;
use kerbholz_client::network::Network;
use kerbholz_client::{Machine, Meter, Organisation, Publisher, Session};
use kerbholz_ledger::codec;
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::id::{FactorSetId, MemberId};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::operation::{Enrolled, MeterKind, MoneyIssue, Operation};
use kerbholz_ledger::quantity::{CommitIndex, Minor, Unit};
use kerbholz_ledger::rows::{AccountRow, FactorSetRow, MemberRow, MeterRow, Table, key};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Factor sets looked through, at most.
const SETS_MAX: usize = 10_000;

/// A running network, and who plays whom on it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The network's folder, with the keys of its members.
    pub folder: PathBuf,
    /// The network.
    pub network: Network,
    /// Which organisation of the network plays one of the scenario's, where the names differ.
    pub plays: BTreeMap<String, String>,
    /// The newest commit that the user has seen.
    pub seen: CommitIndex,
}

impl Place {
    /// The organisation of the network that plays one of the scenario's.
    fn player<'p>(&'p self, organisation: &'p str) -> &'p str {
        self.plays.get(organisation).map_or(organisation, String::as_str)
    }

    fn key(&self, member: &str) -> Result<Keypair, DemoError> {
        let key = files::read_key(&member_key(&self.folder, member));
        key.map_err(|error| DemoError::Stories(error.to_string()))
    }

    /// Somebody's key, which is made where there is none. It is on disk before the ledger knows it.
    fn key_of(&self, organisation: &str, name: &str) -> Result<Keypair, DemoError> {
        let failed = |error: files::FileError| DemoError::Stories(error.to_string());
        let path = member_key(&self.folder, &format!("{organisation}.{name}"));
        if path.exists() {
            return files::read_key(&path).map_err(failed);
        }
        let key = files::new_key().map_err(failed)?;
        files::write_key(&path, &key).map_err(failed)?;
        Ok(key)
    }
}

/// Brings everybody who plays onto the network.
///
/// # Errors
/// [`DemoError::Stories`] when an organisation, the publisher or the currency is not there, and what
/// to do; [`DemoError::Step`] when something is refused or not answered.
pub async fn join(place: &Place, stories: &Stories) -> Result<Cast, DemoError> {
    for (organisation, _) in stories.organisations() {
        known(place, organisation)?;
    }
    let (factors, mut commit) = published(place, stories).await?;
    let mut cast =
        Cast { machines: BTreeMap::new(), meters: BTreeMap::new(), factors, commit: place.seen };
    for (organisation, machine) in stories.machines() {
        let (key, seen) = machine_of(place, &organisation, &machine).await?;
        commit = commit.max(seen);
        let session = session(&place.network, &key, commit)?;
        let machine_session = Machine::over(session).await;
        let machine_session =
            machine_session.map_err(DemoError::step(format!("{machine} connects")))?;
        cast.machines.insert((organisation, machine), machine_session);
    }
    for name in stories.meters() {
        let (post, seen) = meter_of(place, &cast, &name, commit).await?;
        commit = commit.max(seen);
        cast.meters.insert(name, Arc::new(post));
    }
    commit = commit.max(funded(place, stories, commit).await?);
    cast.commit = commit;
    Ok(cast)
}

/// An organisation that the network has and whose key is here.
fn known(place: &Place, organisation: &str) -> Result<(), DemoError> {
    let player = place.player(organisation);
    let there: Vec<&str> =
        place.network.genesis().organisations.iter().map(|one| one.name.as_str()).collect();
    if !there.contains(&player) {
        let there = there.join(", ");
        return Err(DemoError::Stories(format!(
            "the network has no organisation {player:?}: say which of its own ({there}) plays it, \
             e.g. --cast {organisation}={}",
            place.network.genesis().organisations.first().map_or("NAME", |one| one.name.as_str()),
        )));
    }
    place.key(player).map(drop)
}

async fn organisation(place: &Place, name: &str) -> Result<Organisation, DemoError> {
    let key = place.key(place.player(name))?;
    let failed = DemoError::step(format!("{name} connects"));
    let organisation = Organisation::connect(&place.network, &key).await.map_err(failed)?;
    organisation.catch_up_with(place.seen);
    Ok(organisation)
}

/// A machine's key; it is enrolled where it is not yet.
async fn machine_of(
    place: &Place,
    of: &str,
    name: &str,
) -> Result<(Keypair, CommitIndex), DemoError> {
    let organisation = organisation(place, of).await?;
    let key = place.key_of(place.player(of), name)?;
    enrol(&organisation, name, &key, Enrolled::Machine).await?;
    Ok((key, organisation.seen()))
}

async fn enrol(
    organisation: &Organisation,
    name: &str,
    own: &Keypair,
    kind: Enrolled,
) -> Result<(), DemoError> {
    let failed = || DemoError::step(format!("{name} is enrolled"));
    let id = MemberId::of(&own.public());
    let row: Option<MemberRow> =
        organisation.row(key(Table::Member, &[id.as_bytes()])).await.map_err(failed())?;
    if row.is_none() {
        let operation = organisation.enrolment(name, own, kind);
        organisation.submit(vec![operation]).await.map_err(failed())?;
    }
    Ok(())
}

async fn meter_of(
    place: &Place,
    cast: &Cast,
    name: &MeterName,
    commit: CommitIndex,
) -> Result<(MeterPost, CommitIndex), DemoError> {
    let failed = || DemoError::step(format!("{} connects", name.name));
    let organisation = organisation(place, &name.organisation).await?;
    organisation.catch_up_with(commit);
    let own = place.key_of(place.player(&name.organisation), &name.name)?;
    let host = cast.machines.get(&(name.organisation.clone(), name.machine.clone()));
    let host = host.ok_or_else(|| DemoError::Missing(format!("machine {}", name.machine)))?;
    let kind = MeterKind {
        host: host.id(),
        product: "electricity".into(),
        unit: Unit::Joule,
        factor_code: name.factor.clone(),
        register: 0,
        register_end: None,
    };
    enrol(&organisation, &name.name, &own, Enrolled::Meter(kind)).await?;
    let meter = Meter::over(session(&place.network, &own, organisation.seen())?).await;
    let meter = meter.map_err(failed())?;
    let row: Option<MeterRow> =
        meter.row(key(Table::Meter, &[meter.id().as_bytes()])).await.map_err(failed())?;
    let row = row.ok_or_else(|| DemoError::Missing(format!("meter {}", name.name)))?;
    if row.kind.factor_code != name.factor || row.kind.host != host.id() {
        return Err(DemoError::Stories(format!(
            "the meter {:?} is on this network already, with another factor ({}) or machine: call \
             the scenario's otherwise",
            name.name, row.kind.factor_code
        )));
    }
    let factor = FactorRef { set: cast.factors, code: name.factor.clone() };
    // Its register is a chain: it goes on where it stands.
    let register = Mutex::new((row.register, row.read_until));
    let seen = meter.seen();
    Ok((MeterPost { meter, factor, register }, seen))
}

/// The factor set of the scenario; it is published where it is not yet.
async fn published(
    place: &Place,
    stories: &Stories,
) -> Result<(FactorSetId, CommitIndex), DemoError> {
    let set = &stories.factors;
    let reader = reader(place, place.seen)?;
    let failed = || DemoError::step("the factors are looked up");
    let rows = reader.scan_all(key(Table::FactorSet, &[]), SETS_MAX).await.map_err(failed())?;
    for (id, value) in rows {
        let row: Result<FactorSetRow, _> = codec::decode_trusted(&value);
        let found = row.ok().filter(|row| row.name == set.name && row.version == set.version);
        if let (Some(_), Ok(id)) = (found, <[u8; 32]>::try_from(id)) {
            return Ok((FactorSetId::new(id), reader.seen()));
        }
    }
    let publishers = &place.network.genesis().publishers;
    let here = publishers.iter().find(|one| member_key(&place.folder, &one.name).exists());
    let here = here.ok_or_else(|| {
        DemoError::Stories(format!(
            "{}@{} is not published, and no publisher's key is here: have it published with \
             `kerbholz factor publish`",
            set.name, set.version
        ))
    })?;
    let failed = || DemoError::step(format!("{} publishes the factors", here.name));
    let publisher = Publisher::connect(&place.network, &place.key(&here.name)?).await;
    let publisher = publisher.map_err(failed())?;
    let id = publisher.publish(&set.name, set.version, set.factors.clone()).await;
    Ok((id.map_err(failed())?, publisher.seen()))
}

/// Sees to it that every organisation has what its machines will spend.
async fn funded(
    place: &Place,
    stories: &Stories,
    seen: CommitIndex,
) -> Result<CommitIndex, DemoError> {
    let genesis = place.network.genesis();
    let mut needed: BTreeMap<MemberId, u64> = BTreeMap::new();
    for (organisation, spending) in stories.spending() {
        if let Some(id) = genesis.organisation(place.player(&organisation)) {
            let sum = needed.entry(id).or_default();
            *sum = sum.saturating_add(spending);
        }
    }
    let currency = genesis.currencies.iter().find(|one| one.code == stories.currency);
    let currency = currency.ok_or_else(|| {
        DemoError::Stories(format!("the network has no currency {}", stories.currency))
    })?;
    let issuer = place.key(&currency.issuer)?;
    let failed = || DemoError::step(format!("{} issues money", currency.issuer));
    let issuer = Organisation::connect(&place.network, &issuer).await.map_err(failed())?;
    issuer.catch_up_with(seen);
    for (to, needed) in needed {
        let parts = [to.as_bytes().as_slice(), currency.code.as_bytes()];
        let account: Option<AccountRow> =
            issuer.row(key(Table::Account, &parts)).await.map_err(failed())?;
        let available = account.unwrap_or_default().available.get();
        if let Some(missing) = needed.checked_sub(available).filter(|missing| *missing > 0) {
            let issue =
                MoneyIssue { currency: currency.code.clone(), to, amount: Minor::new(missing) };
            issuer.submit(vec![Operation::IssueMoney(issue)]).await.map_err(failed())?;
        }
    }
    Ok(issuer.seen())
}

/// Somebody's session, to read with.
///
/// # Errors
/// [`DemoError::Step`] when no authority is reached.
pub fn reader(place: &Place, seen: CommitIndex) -> Result<Session, DemoError> {
    let key = files::new_key().map_err(|error| DemoError::Stories(error.to_string()))?;
    session(&place.network, &key, seen)
}
