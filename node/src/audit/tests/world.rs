//! A ledger made by hand: real blocks, commits as the rule decides them, real transactions.

use crate::setup::{Setup, authority_folder, member_key};
use crate::storage::{DiskStorage, LedgerEntry, Storage, StoredCommit};
use kerbholz_client::network::committee;
use kerbholz_consensus::{
    AuthorityIndex, Block, BlockRef, Checkpoint, Commit, CommitDigest, CommitHeader, Committee,
    CommitteeConfig, Draft, Round, Signer, Statement, Timestamp as WallTime, Vote,
};
use kerbholz_ledger::committee::{Candidate, CommitteeChange, CommitteeVote, quorum};
use kerbholz_ledger::execute::{self, Effects, Item};
use kerbholz_ledger::genesis::{Genesis, GenesisAuthority};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::{MoneyIssue, MoneyRedemption, Operation};
use kerbholz_ledger::quantity::{CommitIndex, Epoch, Milliseconds, Minor, Timestamp};
use kerbholz_ledger::transaction::{Envelope, TRANSACTION_VERSION};
use std::path::PathBuf;
use std::sync::Arc;

/// Commits of the ledger; the last is not covered by a checkpoint.
const COMMITS: u64 = 6;
/// The commit that is forged.
pub(super) const FORGED: u64 = 4;

/// What is wrong with the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgery {
    None,
    /// A checkpoint whose statement was changed after it was signed.
    Checkpoint,
    /// A quorum signed another root: a transaction's result was altered.
    LogRoot,
    /// A quorum signed another state.
    StateDigest,
    /// A quorum signed another commit.
    CommitDigest,
    /// A commit dated otherwise than its blocks say.
    Time,
    /// A commit without a leader that the blocks decide.
    Skipped,
    /// Of [`World::changing`]: the old committee goes on after it was changed.
    Beyond,
    /// The epoch that is recorded has other authorities than were decided.
    OtherCommittee,
    /// A new epoch is recorded, though a vote was missing.
    Undecided,
}

/// The epoch ends with this commit; its last authority is replaced.
pub(super) const CLOSING: u64 = FORGED;

pub(super) struct World {
    folder: Arc<tempfile::TempDir>,
    data: &'static str,
    pub(super) genesis: Genesis,
    committee: Committee,
    signers: Vec<Signer>,
    money: Keypair,
    forgery: Forgery,
    changing: bool,
    /// Rounds of the epochs before: time goes on.
    earlier_rounds: u64,
    rounds: Vec<Vec<Block>>,
    commits: Vec<Commit>,
    state: Memory,
    transactions: u64,
    log_root: [u8; 32],
}

impl World {
    pub(super) fn new(authorities: u16, forgery: Forgery) -> Self {
        Self::of(authorities, forgery, false)
    }

    /// A ledger of two epochs.
    pub(super) fn changing(authorities: u16, forgery: Forgery) -> Self {
        Self::of(authorities, forgery, true)
    }

    fn of(authorities: u16, forgery: Forgery, changing: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            name: "audit".into(),
            authorities,
            host: [127, 0, 0, 1].into(),
            port: Some(4_000),
            pace: crate::config::Pace::Lan,
            organisations: vec!["maker".into()],
            publishers: vec![],
            auditors: vec![],
            material_climate: None,
            currency: "EUR".into(),
            accounting_period: crate::setup::DAY,
        };
        let genesis = setup.create(folder.path()).unwrap();
        Self::build(Arc::new(folder), "data", genesis, forgery, changing)
    }

    /// Another authority's ledger of the same network.
    pub(super) fn beside(&self, forgery: Forgery) -> Self {
        let (folder, genesis) = (self.folder.clone(), self.genesis.clone());
        Self::build(folder, "other", genesis, forgery, self.changing)
    }

    fn build(
        folder: Arc<tempfile::TempDir>,
        data: &'static str,
        genesis: Genesis,
        forgery: Forgery,
        changing: bool,
    ) -> Self {
        let mut world = Self::begin(folder, data, genesis, forgery, changing);
        let first = world.committee.config().clone();
        let mut entries = Vec::new();
        for index in 1..=COMMITS {
            world.round();
            if index == FORGED && forgery == Forgery::Skipped {
                world.round();
            }
            let effects = world.commit(index);
            entries.push(LedgerEntry::Commit(StoredCommit::from(world.commits.last().unwrap())));
            if index < COMMITS {
                entries.push(LedgerEntry::Checkpoint(world.checkpoint(index, &effects)));
            }
            if changing && index == CLOSING && forgery != Forgery::Beyond {
                entries.push(LedgerEntry::Epoch(world.next_epoch()));
            }
        }
        let key = first.authorities[0];
        let mut storage = DiskStorage::open(&world.data(), &first, key).unwrap();
        storage.append_ledger(&entries).unwrap();
        world
    }

    fn begin(
        folder: Arc<tempfile::TempDir>,
        data: &'static str,
        genesis: Genesis,
        forgery: Forgery,
        changing: bool,
    ) -> Self {
        let key = |path: PathBuf| crate::files::read_key(&path).unwrap();
        let signer = |name: &str| {
            Signer::from_seed(&key(authority_folder(folder.path(), name).join("key")).seed())
        };
        let signers = genesis.authorities.iter().map(|a| signer(&a.name)).collect();
        let money = key(member_key(folder.path(), "maker"));
        let mut state = Memory::default();
        state.apply(&execute::genesis(&genesis).unwrap().writes);
        let committee = committee(&genesis).unwrap();
        let (rounds, commits) = (Vec::new(), Vec::new());
        let (transactions, log_root) = (0, [0; 32]);
        Self {
            folder,
            data,
            genesis,
            committee,
            signers,
            money,
            forgery,
            changing,
            earlier_rounds: 0,
            rounds,
            commits,
            state,
            transactions,
            log_root,
        }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.path().join(self.data)
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.len() as u64
    }

    pub(super) fn transactions(&self) -> u64 {
        self.transactions
    }

    pub(super) fn log_root(&self) -> [u8; 32] {
        self.log_root
    }

    pub(super) fn state(&self) -> Memory {
        self.state.clone()
    }

    fn time(&self, round: u64) -> u64 {
        self.genesis.created_at.get() + 1_000 * (self.earlier_rounds + round)
    }

    /// Who takes the place of the last authority.
    fn newcomer() -> Keypair {
        Keypair::from_seed(&[77; 32])
    }

    /// The votes that decide.
    fn votes(&self, round: u64) -> Vec<Vec<u8>> {
        let network = self.genesis.network();
        let addresses = vec!["/dns4/new/tcp/1".to_owned()];
        let by = Candidate::new(network, "new".into(), addresses, &Self::newcomer());
        let key = self.genesis.authorities.last().unwrap().key;
        let change = CommitteeChange::Replace { key, by };
        let vote = CommitteeVote { epoch: Epoch::ZERO, change: Some(change) };
        let size = self.genesis.authorities.len();
        let votes = quorum(size) - usize::from(self.forgery == Forgery::Undecided);
        let key = |name: &str| {
            let path = authority_folder(self.folder.path(), name).join("key");
            crate::files::read_key(&path).unwrap()
        };
        let voters = self.genesis.authorities.iter().take(votes);
        let vote = |voter: &GenesisAuthority| {
            let operation = Operation::VoteCommittee(vote.clone());
            self.transaction(round, &key(&voter.name), operation)
        };
        voters.map(vote).collect()
    }

    /// The next epoch, as it is recorded.
    fn next_epoch(&mut self) -> CommitteeConfig {
        let mut config = self.committee.config().clone();
        config.epoch = 1;
        config.previous = self.commits.last().unwrap().digest();
        let newcomer = Signer::from_seed(&Self::newcomer().seed());
        *config.authorities.last_mut().unwrap() = newcomer.public_key();
        *self.signers.last_mut().unwrap() = newcomer;
        if self.forgery == Forgery::OtherCommittee {
            config.authorities.swap(0, 1);
            self.signers.swap(0, 1);
        }
        self.committee = Committee::new(config.clone()).unwrap();
        self.earlier_rounds = self.rounds.len() as u64;
        self.rounds.clear();
        config
    }

    fn payload(&self, round: u64) -> Vec<Vec<u8>> {
        let votes = self.changing && self.earlier_rounds == 0 && round == CLOSING;
        if votes { self.votes(round) } else { vec![self.item(round)] }
    }

    /// A transaction that issues money; in one round more is redeemed than there is.
    fn item(&self, round: u64) -> Vec<u8> {
        let amount = Minor::new(100 * (self.earlier_rounds + round));
        let currency = "EUR".to_owned();
        let to = self.genesis.organisation("maker").unwrap();
        let operation = if self.earlier_rounds + round == 3 {
            Operation::RedeemMoney(MoneyRedemption { currency, amount: Minor::new(u64::MAX) })
        } else {
            Operation::IssueMoney(MoneyIssue { currency, to, amount })
        };
        self.transaction(round, &self.money, operation)
    }

    fn transaction(&self, round: u64, signer: &Keypair, operation: Operation) -> Vec<u8> {
        let created_at = Timestamp::new(self.time(round));
        let envelope = Envelope {
            version: TRANSACTION_VERSION,
            network: self.genesis.network(),
            signer: signer.public(),
            created_at,
            expires_at: created_at.saturating_add(Milliseconds::new(60_000)),
            operations: vec![operation],
        };
        envelope.sign(signer).bytes()
    }

    /// A block of every authority on all blocks of the round before.
    fn round(&mut self) {
        let round = self.rounds.len() as u64 + 1;
        let parents: Vec<BlockRef> = match self.rounds.last() {
            Some(blocks) => blocks.iter().map(Block::reference).collect(),
            None => self.committee.genesis().to_vec(),
        };
        let leader = self.committee.leader(Round(round));
        let block = |(index, signer): (u16, &Signer)| {
            let mut parents = parents.clone();
            parents.sort_by_key(|parent| (parent.author.0 != index, parent.author));
            let carries = round > 1 && AuthorityIndex(index) == leader;
            let draft = Draft {
                round: Round(round),
                timestamp: WallTime(self.time(round)),
                parents,
                payload: if carries { self.payload(round) } else { vec![] },
                ..Draft::default()
            };
            draft.sign(&self.committee, AuthorityIndex(index), signer).unwrap()
        };
        let blocks = (0_u16..).zip(&self.signers).map(block).collect();
        self.rounds.push(blocks);
    }

    /// Commits the leader of the last round, with everything below it that is not committed.
    fn commit(&mut self, index: u64) -> Effects {
        let round = self.rounds.len() as u64;
        let leader = self.committee.leader(Round(round));
        let committed = |block: &Block| self.commits.iter().any(|c| c.blocks().contains(block));
        let in_history = |block: &Block| block.round() < Round(round) || block.author() == leader;
        let all = self.rounds.iter().flatten();
        let mut blocks: Vec<Block> =
            all.filter(|block| in_history(block) && !committed(block)).cloned().collect();
        blocks.sort_by_key(Block::reference);
        let forged = index == FORGED && self.forgery == Forgery::Time;
        let before = self.commits.last().map_or(0, |commit| commit.time().0);
        let median = if round == 1 { 0 } else { self.time(round - 1) };
        let header = CommitHeader {
            index,
            previous: self.commits.last().map_or(CommitDigest::NONE, Commit::digest),
            leader: blocks.last().unwrap().reference(),
            time: WallTime(median.max(before) + u64::from(forged)),
            blocks: blocks.iter().map(Block::reference).collect(),
            silenced: vec![],
        };
        let commit = Commit::new(header, blocks, &self.committee).unwrap();
        let effects = self.execute(&commit);
        self.commits.push(commit);
        effects
    }

    fn execute(&mut self, commit: &Commit) -> Effects {
        let items = commit.payload().map(|(_, bytes)| Item::decode(bytes)).collect();
        let (index, time) = (CommitIndex::new(commit.index()), Timestamp::new(commit.time().0));
        let effects = execute::execute(&execute::Commit { index, time, items }, &self.state);
        let effects = effects.unwrap();
        self.state.apply(&effects.writes);
        self.transactions += effects.executed.len() as u64;
        self.log_root = *effects.log_root.as_bytes();
        effects
    }

    fn checkpoint(&self, index: u64, effects: &Effects) -> Checkpoint {
        let mut statement = Statement {
            index,
            commit_digest: self.commits.last().unwrap().digest(),
            log_root: *effects.log_root.as_bytes(),
            state_digest: *effects.state_digest.as_bytes(),
        };
        let here = |forgery| index == FORGED && self.forgery == forgery;
        if here(Forgery::LogRoot) {
            statement.log_root[7] ^= 1;
        }
        if here(Forgery::StateDigest) {
            statement.state_digest[7] ^= 1;
        }
        if here(Forgery::CommitDigest) {
            statement.commit_digest.0[7] ^= 1;
        }
        let sign = |(index, signer): (u16, &Signer)| {
            (AuthorityIndex(index), Vote::sign(statement, &self.committee, signer).signature)
        };
        let signatures = (0_u16..).zip(&self.signers).map(sign).collect();
        if here(Forgery::Checkpoint) {
            statement.state_digest[7] ^= 1;
        }
        Checkpoint { statement, signatures }
    }
}
