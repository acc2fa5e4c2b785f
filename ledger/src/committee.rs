//! The committee: who the authorities of an epoch are, what a quorum of them is, and how they change it.
//!
//! Authorities are no members of the ledger: they order and sign what members do. The one thing they
//! ask of it is another committee, each by a vote signed with its own key
//! ([`crate::operation::Operation::VoteCommittee`]). What the rules are is said at [`CommitteeVote`].

use crate::codec;
use crate::id::NetworkId;
use crate::keys::{BadSignature, Keypair, PublicKey, Signature};
use crate::quantity::Epoch;
use crate::rejection::Code;
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most authorities of a committee.
pub const AUTHORITIES_MAX: usize = 128;
/// Most addresses of an authority.
pub const ADDRESSES_MAX: usize = 8;
/// Most bytes of an address.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Most bytes of an authority's name.
pub const NAME_BYTES_MAX: usize = 64;

const AUTHORITY_PROOF_DOMAIN: &str = "kerbholz/authority-proof/1";

/// An authority of some epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// What people call it; no other authority of the committee has this name.
    pub name: String,
    /// Its key: signs blocks, checkpoints and votes, and is its peer identity.
    pub key: PublicKey,
    /// Where the others reach it: libp2p multiaddresses. Empty for an authority of the genesis, whose
    /// addresses are a matter of the file beside it.
    pub addresses: Vec<String>,
}

/// An authority that is to join, and its key's word for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// What people call it. 1 to [`NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// Where the others reach it: 1 to [`ADDRESSES_MAX`] libp2p multiaddresses of 1 to
    /// [`ADDRESS_BYTES_MAX`] bytes. The ledger hands them on; it does not understand them.
    pub addresses: Vec<String>,
    /// The key's signature over network, name, key and addresses: nobody has others vote for a key
    /// that is not theirs, or for one that has not agreed.
    pub proof: Signature,
}

impl Candidate {
    /// A candidate that proves itself.
    pub fn new(network: NetworkId, name: String, addresses: Vec<String>, key: &Keypair) -> Self {
        let message = proof_message(network, &name, key.public(), &addresses);
        let proof = key.sign(AUTHORITY_PROOF_DOMAIN, &message);
        Self { name, key: key.public(), addresses, proof }
    }

    /// Checks the proof. A weak key (see [`PublicKey::is_weak`]) proves nothing.
    ///
    /// # Errors
    /// [`BadSignature`] when the key has not signed exactly this for this network.
    pub fn verify(&self, network: NetworkId) -> Result<(), BadSignature> {
        if self.key.is_weak() {
            return Err(BadSignature);
        }
        let message = proof_message(network, &self.name, self.key, &self.addresses);
        self.key.verify(AUTHORITY_PROOF_DOMAIN, &message, &self.proof)
    }

    /// Whether every text and list has a length that is allowed.
    pub fn is_well_formed(&self) -> bool {
        let addressed = (1..=ADDRESSES_MAX).contains(&self.addresses.len());
        let short = |address: &String| (1..=ADDRESS_BYTES_MAX).contains(&address.len());
        let named = (1..=NAME_BYTES_MAX).contains(&self.name.len());
        named && addressed && self.addresses.iter().all(short)
    }

    fn authority(&self) -> Authority {
        Authority { name: self.name.clone(), key: self.key, addresses: self.addresses.clone() }
    }
}

/// What the key of a candidate signs, in its own domain.
fn proof_message(network: NetworkId, name: &str, key: PublicKey, addresses: &[String]) -> Vec<u8> {
    codec::encode(&(network, name, key, addresses))
}

/// One change of a committee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitteeChange {
    /// One authority more, at the end.
    Add(Candidate),
    /// One authority less; those behind it move up.
    Remove(PublicKey),
    /// Another in the place of one. It may be the same key with another name or other addresses.
    Replace {
        /// Whose place.
        key: PublicKey,
        /// Who takes it.
        by: Candidate,
    },
}

impl CommitteeChange {
    /// Who joins, if somebody does.
    pub const fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Add(candidate) | Self::Replace { by: candidate, .. } => Some(candidate),
            Self::Remove(_) => None,
        }
    }

    /// The committee after the change.
    ///
    /// # Errors
    /// [`Code::UnknownAuthority`] for a key that is not in the committee, [`Code::KeyInUse`] and
    /// [`Code::NameInUse`] for one that is in it already, [`Code::CommitteeSize`] when none or more
    /// than [`AUTHORITIES_MAX`] would be left.
    pub fn applied_to(&self, committee: &[Authority]) -> Result<Vec<Authority>, Code> {
        let place = |key: &PublicKey| {
            let found = committee.iter().position(|authority| authority.key == *key);
            found.ok_or(Code::UnknownAuthority)
        };
        let mut next = committee.to_vec();
        let joins = match self {
            Self::Remove(key) => {
                next.remove(place(key)?);
                None
            }
            Self::Add(candidate) => Some((next.len(), candidate)),
            Self::Replace { key, by } => {
                let place = place(key)?;
                next.remove(place);
                Some((place, by))
            }
        };
        if let Some((place, candidate)) = joins {
            if next.iter().any(|authority| authority.key == candidate.key) {
                return Err(Code::KeyInUse);
            }
            if next.iter().any(|authority| authority.name == candidate.name) {
                return Err(Code::NameInUse);
            }
            next.insert(place, candidate.authority());
        }
        if (1..=AUTHORITIES_MAX).contains(&next.len()) {
            Ok(next)
        } else {
            Err(Code::CommitteeSize)
        }
    }
}

/// `VoteCommittee`: signed by the key of an authority of the current committee.
///
/// * An authority has one vote per epoch. Voting again replaces it; `None` takes it back.
/// * When as many authorities as a [quorum] takes have voted for the same change (the same in every
///   byte), it is decided, and the commit in which that happens is the last of its epoch: the next
///   commit belongs to the next epoch, whose committee is the changed one, and in which nobody has
///   voted yet. Whatever else was proposed is void; so is every further vote in that commit.
/// * Each vote is checked against the committee as if it were the last one needed: what is decided can
///   be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitteeVote {
    /// The current epoch: a vote that is ordered after its end means nothing.
    pub epoch: Epoch,
    /// What to change, or `None` to withdraw the vote.
    pub change: Option<CommitteeChange>,
}

/// How many of `authorities` must agree: all but the `(authorities - 1) / 3` that may be faulty.
pub const fn quorum(authorities: usize) -> usize {
    authorities - authorities.saturating_sub(1) / 3
}
