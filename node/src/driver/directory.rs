//! Who the authorities are and where they listen: by the ledger, and by the operator's file.

use crate::network::{Authority, Multiaddr, PeerKey};
use crate::replica::Replica;
use kerbholz_client::ledger::committee::Authority as Voted;
use kerbholz_client::ledger::quantity::Epoch;
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::rows::{Read, ReadError};
use kerbholz_consensus::{Committee, PublicKey};
use std::collections::{BTreeMap, BTreeSet};

/// Former authorities that are still told what became of them.
const FORMER_MAX: usize = 128;

/// The operator's file of addresses, by name. What it says of a name goes before what was voted.
#[derive(Clone, Debug)]
pub struct Directory {
    by_name: BTreeMap<String, Vec<Multiaddr>>,
    own: PublicKey,
    voted: Known,
}

/// The authorities of the epochs up to now, each as it was voted last.
#[derive(Clone, Debug)]
struct Known {
    /// Those of the newest epoch first.
    authorities: Vec<Voted>,
    /// How many epochs they are from. What the ledger says of an epoch never changes.
    epochs: u64,
}

/// The peers of an epoch.
pub(crate) struct Peers {
    pub(crate) authorities: Vec<Authority>,
    pub(crate) former: Vec<PeerKey>,
}

impl Directory {
    /// Of this file; `own` is left out of all peers.
    pub const fn new(by_name: BTreeMap<String, Vec<Multiaddr>>, own: PublicKey) -> Self {
        Self { by_name, own, voted: Known { authorities: Vec::new(), epochs: 0 } }
    }

    /// The peers of an epoch with this committee, by what the ledger says up to now.
    pub(crate) fn peers(
        &mut self,
        state: &dyn Read,
        committee: &Committee,
    ) -> Result<Peers, ReadError> {
        self.voted.read(state)?;
        let known = &self.voted.authorities;
        let others = committee.authorities().filter_map(|index| committee.key(index));
        let others: Vec<PublicKey> = others.filter(|key| *key != self.own).collect();
        let address = |key: &PublicKey| Authority {
            key: PeerKey(key.0),
            addresses: known
                .iter()
                .find(|one| is(one, key))
                .map_or_else(Vec::new, |one| self.of(one)),
        };
        let authorities = others.iter().map(address).collect();
        let mut seen: BTreeSet<PublicKey> = others.iter().copied().chain([self.own]).collect();
        let keys = known.iter().map(|one| PublicKey(*one.key.as_bytes()));
        let former = keys.filter(|key| seen.insert(*key)).take(FORMER_MAX);
        Ok(Peers { authorities, former: former.map(|key| PeerKey(key.0)).collect() })
    }

    fn of(&self, authority: &Voted) -> Vec<Multiaddr> {
        let mut addresses = self.by_name.get(&authority.name).cloned().unwrap_or_default();
        for text in &authority.addresses {
            match text.parse() {
                Ok(address) if addresses.contains(&address) => {}
                Ok(address) => addresses.push(address),
                Err(error) => {
                    let name = &authority.name;
                    tracing::warn!(name, address = text, %error, "an authority's address is none");
                }
            }
        }
        addresses
    }
}

impl Known {
    /// Takes in the epochs that the ledger has decided since.
    fn read(&mut self, state: &dyn Read) -> Result<(), ReadError> {
        let epochs = query::ledger(state)?.epoch.get() + 1;
        for epoch in self.epochs..epochs {
            let row = query::committee_of(state, Epoch::new(epoch))?;
            let newer = row.map_or_else(Vec::new, |row| row.authorities);
            self.authorities.retain(|known| newer.iter().all(|newer| newer.key != known.key));
            self.authorities.splice(..0, newer);
            self.epochs = epoch + 1;
        }
        Ok(())
    }
}

impl Peers {
    /// What each of them is told when it opens its stream.
    pub(crate) fn hellos(&self, replica: &Replica) -> BTreeMap<PeerKey, Vec<u8>> {
        let present = self.authorities.iter().map(|authority| authority.key);
        let keys = present.chain(self.former.iter().copied());
        keys.map(|key| (key, replica.hello(&PublicKey(key.0)).encode())).collect()
    }
}

fn is(authority: &Voted, key: &PublicKey) -> bool {
    *authority.key.as_bytes() == key.0
}

#[cfg(test)]
mod tests;
