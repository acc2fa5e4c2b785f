//! Genesis: what everybody who takes part must agree on beforehand. The network's id is its hash.

use crate::codec;
use crate::committee::{AUTHORITIES_MAX, Authority};
use crate::factor::{Impact, is_valid_materiality};
use crate::id::{MemberId, NetworkId, hash};
use crate::keys::PublicKey;
use crate::limit::{Limit, LimitScope, is_valid_list};
use crate::quantity::{CommitIndex, Epoch, Milliseconds, Timestamp};
use crate::rows::CommitteeRow;
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The version of the genesis format.
pub const GENESIS_VERSION: u32 = 2;

/// The first state of a network. As JSON it is the one file a verifier needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// [`GENESIS_VERSION`].
    pub version: u32,
    /// What people call the network. 1 to 64 bytes.
    pub name: String,
    /// When it began; the time of commit 0.
    pub created_at: Timestamp,
    /// The committee, in order: an authority's index is its position.
    pub authorities: Vec<GenesisAuthority>,
    /// The first organisations.
    pub organisations: Vec<GenesisMember>,
    /// The first publishers of factors.
    pub publishers: Vec<GenesisMember>,
    /// The first auditors.
    pub auditors: Vec<GenesisMember>,
    /// Currencies and who issues them.
    pub currencies: Vec<GenesisCurrency>,
    /// By which rules the books are kept.
    pub accounting: Accounting,
}

/// By which rules the books are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounting {
    /// From which change on a restatement is material and needs an auditor's countersignature: one
    /// that changes one of these dimensions by more than the value. Ascending by dimension, none
    /// twice, none negative; dimensions that are not listed are not judged. Needs an auditor.
    pub materiality: Vec<Impact>,
    /// Limits for the machines of all organisations, ascending by name.
    pub limits: Vec<Limit>,
    /// How the ledger's own footprint is kept.
    pub upkeep: UpkeepRules,
}

/// How the ledger's own footprint is kept ([`crate::upkeep`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpkeepRules {
    /// The length of an accounting period; the first one began in 1970. Not zero where there are
    /// operators.
    pub period: Milliseconds,
    /// Names of the organisations that run authorities: their machines book what these use. None
    /// twice; without any, no upkeep is kept.
    pub operators: Vec<String>,
}

/// An authority at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAuthority {
    /// What people call it. 1 to 64 bytes.
    pub name: String,
    /// Its key: signs blocks and checkpoints, and is its peer identity.
    pub key: PublicKey,
}

/// A member at genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisMember {
    /// What people call it. 1 to 64 bytes.
    pub name: String,
    /// The key that changes things.
    pub owner_key: PublicKey,
    /// The key that works daily.
    pub signing_key: PublicKey,
}

/// A currency and its issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisCurrency {
    /// ISO 4217 code or a consortium's own. 1 to 16 bytes.
    pub code: String,
    /// The issuing organisation's name in this file.
    pub issuer: String,
}

/// What is wrong with a genesis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// Another version.
    #[error(
        "genesis version {0} is not known here (this is version {GENESIS_VERSION}): use a matching release"
    )]
    UnknownVersion(u32),
    /// A count outside its bounds.
    #[error("a network has 1 to 128 authorities and at least one organisation")]
    Counts,
    /// A name that is empty, too long or not unique.
    #[error("the name {0:?} is empty, longer than 64 bytes, or used twice")]
    Name(String),
    /// A key used by two.
    #[error("the key {0} is used twice")]
    KeyTwice(PublicKey),
    /// A key for which anybody can sign.
    #[error("the key {0} is no key that one party alone can sign for: make a new one")]
    WeakKey(PublicKey),
    /// An issuer that is no organisation.
    #[error("the currency {0:?} is issued by nobody in this file, or named twice")]
    Currency(String),
    /// Thresholds of materiality that nobody can apply.
    #[error(
        "the thresholds of materiality are not ascending by dimension, negative, or there is no \
         auditor to countersign: correct them, or name an auditor"
    )]
    Materiality,
    /// Limits that contradict themselves.
    #[error(
        "the limits are more than 16, not ascending by name, without amount or period, or name a \
         machine: correct them"
    )]
    Limits,
    /// Operators that are none, or periods of no length.
    #[error(
        "the operators are no organisations in this file, or named twice, or the accounting period \
         has no length: correct them"
    )]
    Upkeep,
}

impl Genesis {
    /// The network's id: BLAKE3 of the canonical genesis.
    pub fn network(&self) -> NetworkId {
        NetworkId::new(hash("kerbholz/network", &[&codec::encode(self)]))
    }

    /// Checks what a file cannot promise by its shape.
    ///
    /// # Errors
    /// [`GenesisError`], naming what is wrong.
    pub fn validate(&self) -> Result<(), GenesisError> {
        if self.version != GENESIS_VERSION {
            return Err(GenesisError::UnknownVersion(self.version));
        }
        if !(1..=AUTHORITIES_MAX).contains(&self.authorities.len()) || self.organisations.is_empty()
        {
            return Err(GenesisError::Counts);
        }
        self.validate_names()?;
        self.validate_keys()?;
        let mut seen: Vec<&str> = Vec::new();
        for currency in &self.currencies {
            let code = currency.code.as_str();
            let issued = self.organisations.iter().any(|member| member.name == currency.issuer);
            if !issued || seen.contains(&code) || !(1..=16).contains(&code.len()) {
                return Err(GenesisError::Currency(currency.code.clone()));
            }
            seen.push(code);
        }
        let materiality = &self.accounting.materiality;
        let judged = !materiality.is_empty();
        if !is_valid_materiality(materiality) || (judged && self.auditors.is_empty()) {
            return Err(GenesisError::Materiality);
        }
        let limits = &self.accounting.limits;
        let named =
            |limit: &Limit| matches!(limit.scope, LimitScope::Machine { machine: Some(_), .. });
        if !is_valid_list(limits) || limits.iter().any(named) {
            return Err(GenesisError::Limits);
        }
        self.validate_upkeep()
    }

    fn validate_upkeep(&self) -> Result<(), GenesisError> {
        let UpkeepRules { period, operators } = &self.accounting.upkeep;
        let once = |index: usize, name: &String| !operators[..index].contains(name);
        let known = |name: &String| self.organisation(name).is_some();
        let valid = operators.iter().enumerate().all(|(at, name)| known(name) && once(at, name));
        if !valid || (*period == Milliseconds::ZERO && !operators.is_empty()) {
            return Err(GenesisError::Upkeep);
        }
        Ok(())
    }

    fn members(&self) -> impl Iterator<Item = &GenesisMember> {
        self.organisations.iter().chain(&self.publishers).chain(&self.auditors)
    }

    fn validate_names(&self) -> Result<(), GenesisError> {
        let members = self.members();
        let names = core::iter::once(&self.name)
            .chain(self.authorities.iter().map(|authority| &authority.name))
            .chain(members.map(|member| &member.name));
        for name in names {
            if !(1..=64).contains(&name.len()) {
                return Err(GenesisError::Name(name.clone()));
            }
        }
        let mut organisations: Vec<_> =
            self.organisations.iter().map(|member| &member.name).collect();
        let mut authorities: Vec<_> =
            self.authorities.iter().map(|authority| &authority.name).collect();
        for names in [&mut organisations, &mut authorities] {
            names.sort();
            if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(GenesisError::Name(pair[0].clone()));
            }
        }
        Ok(())
    }

    fn validate_keys(&self) -> Result<(), GenesisError> {
        let members = self.members();
        let mut keys: Vec<PublicKey> =
            self.authorities.iter().map(|authority| authority.key).collect();
        for member in members {
            keys.push(member.owner_key);
            if member.signing_key != member.owner_key {
                keys.push(member.signing_key);
            }
        }
        if let Some(weak) = keys.iter().find(|key| key.is_weak()) {
            return Err(GenesisError::WeakKey(*weak));
        }
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(GenesisError::KeyTwice(pair[0])),
            None => Ok(()),
        }
    }

    /// The committee of the first epoch. Where its authorities listen is said beside the genesis.
    pub fn committee(&self) -> CommitteeRow {
        let authority = |authority: &GenesisAuthority| Authority {
            name: authority.name.clone(),
            key: authority.key,
            addresses: Vec::new(),
        };
        CommitteeRow {
            epoch: Epoch::ZERO,
            decided_in: CommitIndex::ZERO,
            authorities: self.authorities.iter().map(authority).collect(),
        }
    }

    /// The id of an organisation of this file.
    pub fn organisation(&self, name: &str) -> Option<MemberId> {
        let member = self.organisations.iter().find(|member| member.name == name)?;
        Some(MemberId::of(&member.owner_key))
    }
}
