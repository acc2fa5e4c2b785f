//! Who the authorities of an epoch are, what a quorum is, and who leads a round (§1.1, §2.1).

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    authority_set::AuthoritySet,
    codec,
    fault::Fault,
    keys::{PublicKey, Verifier},
    types::{AuthorityIndex, BlockDigest, BlockRef, CommitDigest, Domain, NetworkId, Round},
};

/// Everything about an epoch that every authority must agree on. Its hash is the [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitteeConfig {
    /// The network.
    pub network: NetworkId,
    /// Number of the epoch, from 0.
    pub epoch: u64,
    /// The authorities' keys; an authority's index is its position here.
    pub authorities: Vec<PublicKey>,
    /// How many rounds below the newest committed leader a block can still be committed (§4.2).
    /// Part of the domain, because both validity and order depend on it.
    pub gc_depth: u16,
    /// The last commit of the previous epoch; [`CommitDigest::NONE`] for the first.
    pub previous: CommitDigest,
}

impl CommitteeConfig {
    /// What an encoded configuration may have at most, in bytes.
    pub const BYTES_MAX: usize = 8 << 10;

    /// The canonical bytes, of which the [`Domain`] is the hash.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes. Whether they make a committee is for [`Committee::new`] to say.
    ///
    /// # Errors
    /// [`Fault::TooLong`], [`Fault::Malformed`] or [`Fault::NotCanonical`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        codec::decode(bytes, Self::BYTES_MAX)
    }
}

/// Why a configuration makes no committee.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitteeError {
    /// No authority, or more than an [`AuthoritySet`] holds.
    #[error("a committee has 1 to {max} authorities, not {0}", max = AuthoritySet::CAPACITY)]
    Size(usize),
    /// The same key twice would give its owner two votes.
    #[error("authority {0} has the key of an earlier authority; give every authority its own")]
    DuplicateKey(AuthorityIndex),
    /// The bytes are no Ed25519 key, or one for which anybody can sign.
    #[error("the key of authority {0} is not a safe Ed25519 public key; make another")]
    BadKey(AuthorityIndex),
    /// Decisions reach back several rounds; they must never cross the boundary.
    #[error("gc_depth is {0}, but must be at least {min}", min = Committee::GC_DEPTH_MIN)]
    GcDepth(u16),
}

/// The authorities of one epoch, of equal weight. Cheap to clone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "CommitteeConfig", into = "CommitteeConfig")]
pub struct Committee(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CommitteeConfig,
    domain: Domain,
    verifiers: Vec<Verifier>,
    genesis: Vec<BlockRef>,
    leaders: Vec<AuthorityIndex>,
}

impl Committee {
    /// The depth that [`CommitteeConfig::gc_depth`] should have unless there is a reason.
    pub const GC_DEPTH: u16 = 60;
    /// Below this a decision could need a block that was already collected.
    pub const GC_DEPTH_MIN: u16 = 8;

    /// Checks a configuration once and for all.
    ///
    /// # Errors
    /// A [`CommitteeError`] names what is wrong with it.
    pub fn new(config: CommitteeConfig) -> Result<Self, CommitteeError> {
        let n = config.authorities.len();
        if n == 0 || n > AuthoritySet::CAPACITY {
            return Err(CommitteeError::Size(n));
        }
        if config.gc_depth < Self::GC_DEPTH_MIN {
            return Err(CommitteeError::GcDepth(config.gc_depth));
        }
        let mut keys = BTreeSet::new();
        let mut verifiers = Vec::with_capacity(n);
        for (index, key) in (0u16..).map(AuthorityIndex).zip(&config.authorities) {
            if !keys.insert(*key) {
                return Err(CommitteeError::DuplicateKey(index));
            }
            let verifier = key.parse().filter(|_| !key.is_weak());
            verifiers.push(verifier.ok_or(CommitteeError::BadKey(index))?);
        }
        let domain = Domain(blake3::derive_key("kerbholz 1 domain", &config.encode()));
        let genesis = (0u16..).map(AuthorityIndex).take(n).map(|i| genesis(&domain, i)).collect();
        let leaders = leader_order(&domain, n);
        Ok(Self(Arc::new(Inner { config, domain, verifiers, genesis, leaders })))
    }

    /// What the committee was made from.
    pub fn config(&self) -> &CommitteeConfig {
        &self.0.config
    }

    /// The domain every block and vote of this epoch carries.
    pub fn domain(&self) -> Domain {
        self.0.domain
    }

    /// `n`: how many authorities there are.
    pub fn size(&self) -> usize {
        self.0.config.authorities.len()
    }

    /// `f = floor((n - 1) / 3)`: how many may be faulty.
    pub fn faulty_max(&self) -> usize {
        (self.size() - 1) / 3
    }

    /// `q = n - f`. Never `2f + 1`, whose quorums need not share an honest member for n = 5, 6.
    pub fn quorum(&self) -> usize {
        self.size() - self.faulty_max()
    }

    /// Whether these authorities are a quorum.
    pub fn is_quorum(&self, authorities: AuthoritySet) -> bool {
        authorities.len() >= self.quorum()
    }

    /// Whether at least one of these authorities must be honest.
    pub fn has_honest(&self, authorities: AuthoritySet) -> bool {
        authorities.len() > self.faulty_max()
    }

    /// How many others must say what an authority that lost its log has signed (§8.5): `2f + 1`, so
    /// that one of them knows any block that a decision rests on; all where none may be faulty.
    pub fn answers_after_loss(&self) -> usize {
        let others = self.size() - 1;
        match self.faulty_max() {
            0 => others,
            f => (2 * f + 1).min(others),
        }
    }

    /// Every authority, in order.
    pub fn authorities(&self) -> impl Iterator<Item = AuthorityIndex> + use<> {
        (0u16..).map(AuthorityIndex).take(self.size())
    }

    /// The key of an authority, or `None` outside the committee.
    pub fn key(&self, authority: AuthorityIndex) -> Option<PublicKey> {
        self.0.config.authorities.get(authority.position()).copied()
    }

    /// The authority that has this key.
    pub fn index_of(&self, key: &PublicKey) -> Option<AuthorityIndex> {
        self.authorities().find(|&index| self.key(index).as_ref() == Some(key))
    }

    /// The key of an authority, ready to verify with.
    pub(crate) fn verifier(&self, authority: AuthorityIndex) -> Result<&Verifier, Fault> {
        self.0.verifiers.get(authority.position()).ok_or(Fault::UnknownAuthority(authority))
    }

    /// The genesis blocks, by author. They have no bytes: only their references exist.
    pub fn genesis(&self) -> &[BlockRef] {
        &self.0.genesis
    }

    /// Who leads `round`: round-robin over an order drawn from the domain (§2.1).
    pub fn leader(&self, round: Round) -> AuthorityIndex {
        let order = &self.0.leaders;
        order[(round.0 % order.len() as u64) as usize]
    }

    /// How many rounds below the newest committed leader a block can still be committed.
    pub fn gc_depth(&self) -> u64 {
        u64::from(self.0.config.gc_depth)
    }
}

impl PartialEq for Committee {
    fn eq(&self, other: &Self) -> bool {
        self.domain() == other.domain()
    }
}

impl Eq for Committee {}

impl TryFrom<CommitteeConfig> for Committee {
    type Error = CommitteeError;

    fn try_from(config: CommitteeConfig) -> Result<Self, CommitteeError> {
        Self::new(config)
    }
}

impl From<Committee> for CommitteeConfig {
    fn from(committee: Committee) -> Self {
        committee.config().clone()
    }
}

fn genesis(domain: &Domain, author: AuthorityIndex) -> BlockRef {
    let mut hasher = blake3::Hasher::new_derive_key("kerbholz 1 genesis");
    hasher.update(&domain.0).update(&author.0.to_le_bytes());
    BlockRef { round: Round::GENESIS, author, digest: BlockDigest(hasher.finalize().into()) }
}

/// The authorities sorted by a hash of domain and index: specified bytes, no generator's stream.
fn leader_order(domain: &Domain, n: usize) -> Vec<AuthorityIndex> {
    let mut order: Vec<_> = (0u16..)
        .take(n)
        .map(|index| {
            let mut hasher = blake3::Hasher::new_derive_key("kerbholz 1 leader order");
            hasher.update(&domain.0).update(&index.to_le_bytes());
            (*hasher.finalize().as_bytes(), AuthorityIndex(index))
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, authority)| authority).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::testing::{committee, signer};

    #[test]
    fn quorums_share_an_honest_member_for_every_size() {
        for n in 1..=128 {
            let (n, f, q) = (n, (n - 1) / 3, n - (n - 1) / 3);
            assert!(2 * q > n + f, "two quorums of {n} share more than {f}");
            assert!(q <= n - f, "the honest of {n} are a quorum");
        }
        let quorums: [(u16, usize); 8] =
            [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (128, 86)];
        for (n, quorum) in quorums {
            assert_eq!(committee(n).quorum(), quorum, "n = {n}");
        }
    }

    #[test]
    fn every_authority_leads_once_in_n_rounds() {
        let committee = committee(7);
        let leaders: AuthoritySet = (10..17).map(|r| committee.leader(Round(r))).collect();
        assert_eq!(leaders.len(), 7);
        assert_eq!(committee.leader(Round(3)), committee.leader(Round(10)));
    }

    #[test]
    fn what_makes_no_committee_is_named() {
        let good = committee(4).config().clone();
        let verdict = |bend: &dyn Fn(&mut CommitteeConfig)| {
            let mut config = good.clone();
            bend(&mut config);
            Committee::new(config).map(|_| ()).unwrap_err()
        };
        assert_eq!(verdict(&|c| c.authorities.clear()), CommitteeError::Size(0));
        let many = (0..129).map(|i| signer(i).public_key()).collect::<Vec<_>>();
        assert_eq!(verdict(&|c| c.authorities = many.clone()), CommitteeError::Size(129));
        let twin = CommitteeError::DuplicateKey(AuthorityIndex(2));
        assert_eq!(verdict(&|c| c.authorities[2] = c.authorities[0]), twin);
        let (mut no_point, mut identity) = ([0; 32], [0; 32]);
        no_point[0] = 2;
        identity[0] = 1;
        for bad in [no_point, identity] {
            let bend = |c: &mut CommitteeConfig| c.authorities = vec![PublicKey(bad)];
            assert_eq!(verdict(&bend), CommitteeError::BadKey(AuthorityIndex(0)));
        }
        assert_eq!(verdict(&|c| c.gc_depth = 7), CommitteeError::GcDepth(7));
    }

    #[test]
    fn the_largest_configuration_is_decoded_and_no_changed_one_passes_for_it() {
        let authorities = (0..AuthoritySet::CAPACITY as u16).map(|i| signer(i).public_key());
        let config = CommitteeConfig {
            network: NetworkId([0xff; 32]),
            epoch: u64::MAX,
            authorities: authorities.collect(),
            gc_depth: u16::MAX,
            previous: CommitDigest([0xff; 32]),
        };
        let bytes = config.encode();
        assert_eq!(CommitteeConfig::decode(&bytes), Ok(config.clone()));
        for position in 0..bytes.len() {
            assert!(CommitteeConfig::decode(&bytes[..position]).is_err());
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            assert_ne!(CommitteeConfig::decode(&changed), Ok(config.clone()));
        }
    }

    #[test]
    fn every_field_makes_another_domain() {
        let good = committee(4);
        let bends: [fn(&mut CommitteeConfig); 5] = [
            |c| c.network.0[0] ^= 1,
            |c| c.epoch = 1,
            |c| c.authorities.swap(0, 1),
            |c| c.gc_depth += 1,
            |c| c.previous.0[31] = 1,
        ];
        for bend in bends {
            let mut config = good.config().clone();
            bend(&mut config);
            assert_ne!(Committee::new(config).unwrap().domain(), good.domain());
        }
    }
}
