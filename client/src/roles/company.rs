//! What organisations do about keys, lots and money, besides admitting and revoking.

use super::Organisation;
use crate::error::ClientError;
use crate::session::Applied;
use kerbholz_ledger::allowance::{Allowance, AllowanceSetting};
use kerbholz_ledger::description::Description;
use kerbholz_ledger::id::{LotId, MemberId};
use kerbholz_ledger::keys::{Keypair, PublicKey};
use kerbholz_ledger::operation::{
    KEY_PROOF_DOMAIN, KeyEnd, LotTakeover, MoneyRedemption, MoneyTransfer, Operation,
    OwnerKeyReplacement, TAKEOVER_MAX, key_proof_message,
};
use kerbholz_ledger::quantity::{CommitIndex, Minor};

impl Organisation {
    /// Says what a machine of this organisation can do, or where it or a meter stands.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when a list is not sorted.
    pub async fn describe(&self, description: Description) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::Describe(Box::new(description))]).await
    }

    /// Brings the end of a replaced signing key forward. This session's key must be the owner key.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the key was not replaced.
    pub async fn end_key(&self, key: PublicKey, from: CommitIndex) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::EndKey(KeyEnd { key, from })]).await
    }

    /// Gives a member of this organisation, or itself, a new owner key. This session's key must be the
    /// owner key.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the key is in use.
    pub async fn replace_owner_key(
        &self,
        member: MemberId,
        key: &Keypair,
    ) -> Result<Applied, ClientError> {
        let replacement = owner_key_replacement(self.network().id(), member, key);
        self.submit(vec![Operation::ReplaceOwnerKey(replacement)]).await
    }

    /// Takes the lots of a machine that was revoked: those that are not held for an order.
    /// Returns how many.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when it is still a member.
    pub async fn take_over(&self, machine: MemberId) -> Result<usize, ClientError> {
        let lots = self.lots_of(machine).await?;
        let free: Vec<LotId> =
            lots.iter().filter(|(_, row)| row.held_for.is_none()).map(|(id, _)| *id).collect();
        for lots in free.chunks(TAKEOVER_MAX) {
            let takeover = LotTakeover { machine, lots: lots.to_vec() };
            self.submit(vec![Operation::TakeOverLots(takeover)]).await?;
        }
        Ok(free.len())
    }

    /// Gives money to another organisation.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when less is available.
    pub async fn pay(
        &self,
        to: MemberId,
        currency: &str,
        minor: u64,
        memo: &str,
    ) -> Result<Applied, ClientError> {
        let (currency, amount) = (currency.to_owned(), Minor::new(minor));
        let transfer = MoneyTransfer { currency, to, amount, memo: memo.to_owned() };
        self.submit(vec![Operation::TransferMoney(transfer)]).await
    }

    /// Gives money back to its issuer.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when less is available.
    pub async fn redeem(&self, currency: &str, minor: u64) -> Result<Applied, ClientError> {
        let (currency, amount) = (currency.to_owned(), Minor::new(minor));
        self.submit(vec![Operation::RedeemMoney(MoneyRedemption { currency, amount })]).await
    }

    /// Sets what a machine may spend, or all that have no allowance of their own; takes it away where
    /// none is given.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the machine is another organisation's.
    pub async fn set_allowance(
        &self,
        machine: Option<MemberId>,
        allowance: Option<Allowance>,
    ) -> Result<Applied, ClientError> {
        let setting = AllowanceSetting { machine, allowance };
        self.submit(vec![Operation::SetAllowance(setting)]).await
    }
}

/// A new owner key that proves itself.
pub fn owner_key_replacement(
    network: kerbholz_ledger::id::NetworkId,
    member: MemberId,
    key: &Keypair,
) -> OwnerKeyReplacement {
    let key_proof = key.sign(KEY_PROOF_DOMAIN, &key_proof_message(network, member));
    OwnerKeyReplacement { member, owner_key: key.public(), key_proof }
}
