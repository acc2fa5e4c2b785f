//! The kinds of member that act through the SDK, each a [`Session`] with its own verbs. What a
//! machine waits for is in `roles/wait.rs`, what keeps the books right in `roles/books.rs`, what
//! organisations do about keys and money in `roles/company.rs`.

mod books;
mod company;
mod wait;

pub use company::owner_key_replacement;

use crate::error::ClientError;
use crate::network::Network;
use crate::order::{Order, Work};
use crate::session::{Applied, Session};
use kerbholz_ledger::factor::{Factor, FactorRef};
use kerbholz_ledger::id::{FactorSetId, LotId, MemberId, OrderId};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::operation::{
    DeclaredFootprint, Enrolled, Enrolment, Evidence, FactorPublication, KEY_PROOF_DOMAIN,
    KeyRotation, LotDeclaration, LotSink, LotTransfer, MeterKind, MoneyIssue, Operation, OrderStep,
    Portion, Reading, Revocation, SinkKind, key_proof_message,
};
use kerbholz_ledger::quantity::{CommitIndex, Milligrams, Minor, Quantity, Timestamp, Unit};
use kerbholz_ledger::rows::{LotRow, MemberRow, MeterRow, Table, key};
use std::ops::Deref;

/// Declares a role: a session, the member's id, and how to connect.
macro_rules! role {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone)]
        pub struct $name {
            session: Session,
            id: MemberId,
            row: MemberRow,
        }

        impl $name {
            /// Connects to the network with this member's signing key. A member that was admitted
            /// a moment ago may not be known to every authority yet: then open a session, tell it
            /// how far to read ([`Session::catch_up_with`]), and use [`Self::over`].
            ///
            /// # Errors
            /// [`ClientError::NotEnrolled`] when the key belongs to no member,
            /// [`ClientError::Connection`] when no authority can be reached.
            pub async fn connect(network: &Network, key: &Keypair) -> Result<Self, ClientError> {
                Self::over(Session::open(network, key)?).await
            }

            /// Uses a session that is open already.
            ///
            /// # Errors
            /// As [`Self::connect`].
            pub async fn over(session: Session) -> Result<Self, ClientError> {
                let (id, row) = session.member().await?;
                Ok(Self { session, id, row })
            }

            /// The member's id.
            pub const fn id(&self) -> MemberId {
                self.id
            }

            /// The member as it was when it connected.
            pub const fn about(&self) -> &MemberRow {
                &self.row
            }
        }

        impl Deref for $name {
            type Target = Session;

            fn deref(&self) -> &Session {
                &self.session
            }
        }
    };
}

role!(
    /// A company: admits its machines and meters, holds its accounts.
    Organisation
);
role!(
    /// A machine: orders, makes, owns lots.
    Machine
);
role!(
    /// A meter: signs readings.
    Meter
);
role!(
    /// A publisher of emission factors.
    Publisher
);

/// What a meter counts, for [`Organisation::enrol_meter`].
#[derive(Clone, Debug)]
pub struct MeterSpecification {
    /// The machine that owns what it books.
    pub host: MemberId,
    /// The product, e.g. `electricity`.
    pub product: String,
    /// What one unit of the register is.
    pub unit: Unit,
    /// The code of the zone's or contract's factor.
    pub factor_code: String,
    /// Where the register stands.
    pub register: u64,
    /// Where it starts again from 0, if that is known.
    pub register_end: Option<u64>,
}

impl Organisation {
    /// Admits a machine with one key for everything. The key proves itself.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the key is in use.
    pub async fn enrol_machine(&self, name: &str, key: &Keypair) -> Result<MemberId, ClientError> {
        self.submit(vec![self.enrolment(name, key, Enrolled::Machine)]).await?;
        Ok(MemberId::of(&key.public()))
    }

    /// Admits a meter, whose key must be another than its host's.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the host is not a machine of this organisation.
    pub async fn enrol_meter(
        &self,
        name: &str,
        key: &Keypair,
        meter: MeterSpecification,
    ) -> Result<MemberId, ClientError> {
        let MeterSpecification { host, product, unit, factor_code, register, register_end } = meter;
        let kind = MeterKind { host, product, unit, factor_code, register, register_end };
        let kind = Enrolled::Meter(kind);
        self.submit(vec![self.enrolment(name, key, kind)]).await?;
        Ok(MemberId::of(&key.public()))
    }

    /// The operation that admits a member, for those who put several into one transaction.
    pub fn enrolment(&self, name: &str, key: &Keypair, kind: Enrolled) -> Operation {
        let message = key_proof_message(self.network().id(), self.id);
        let proof = key.sign(KEY_PROOF_DOMAIN, &message);
        Operation::Enrol(Enrolment {
            name: name.to_owned(),
            kind,
            owner_key: key.public(),
            signing_key: key.public(),
            key_proof: proof,
            owner_proof: proof,
        })
    }

    /// Gives a member of this organisation a new signing key; the old one works until the commit.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when this session's key is not the owner key.
    pub async fn rotate_key(
        &self,
        member: MemberId,
        key: &Keypair,
        old_key_until: CommitIndex,
    ) -> Result<Applied, ClientError> {
        let proof = key_proof_message(self.network().id(), member);
        let key_proof = key.sign(KEY_PROOF_DOMAIN, &proof);
        let signing_key = key.public();
        let rotation = KeyRotation { member, signing_key, old_key_until, key_proof };
        self.submit(vec![Operation::RotateKey(rotation)]).await
    }

    /// Ends the membership of a machine or meter, from a commit on.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the member is another organisation's.
    pub async fn revoke(
        &self,
        member: MemberId,
        from: CommitIndex,
        reason: &str,
    ) -> Result<Applied, ClientError> {
        let reason = reason.to_owned();
        self.submit(vec![Operation::Revoke(Revocation { member, from, reason })]).await
    }

    /// Issues money of this organisation's currency.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when another organisation issues it.
    pub async fn issue(
        &self,
        to: MemberId,
        currency: &str,
        minor: u64,
    ) -> Result<Applied, ClientError> {
        let (currency, amount) = (currency.to_owned(), Minor::new(minor));
        self.submit(vec![Operation::IssueMoney(MoneyIssue { currency, to, amount })]).await
    }
}

impl Publisher {
    /// Publishes one version of a factor set, sorted here by code.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the version exists.
    pub async fn publish(
        &self,
        name: &str,
        version: u32,
        mut factors: Vec<Factor>,
    ) -> Result<FactorSetId, ClientError> {
        factors.sort_by(|a, b| a.code.cmp(&b.code));
        let publication = FactorPublication { name: name.to_owned(), version, factors };
        self.submit(vec![Operation::PublishFactors(publication)]).await?;
        Ok(FactorSetId::of(self.id, name, version))
    }
}

impl Meter {
    /// Books what the register counted since the last reading, as a lot of the host's. A register
    /// below the last one has overflowed, where the meter's enrolment states its end.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the register does not go up.
    pub async fn read(
        &self,
        register_to: u64,
        from: Timestamp,
        to: Timestamp,
        factor: FactorRef,
    ) -> Result<LotId, ClientError> {
        let meter: Option<MeterRow> = self.row(key(Table::Meter, &[self.id.as_bytes()])).await?;
        let row = meter.ok_or(ClientError::Unknown("meter"))?;
        let register_from = row.register;
        let overflowed = row.kind.register_end.is_some() && register_to < register_from;
        let meter = self.id;
        let reading = Reading {
            meter,
            register_from,
            register_to,
            overflowed,
            from,
            to,
            factor,
            evidence: None,
        };
        let applied = self.submit(vec![Operation::SubmitReading(reading)]).await?;
        Ok(applied.lot(0, 0))
    }
}

impl Machine {
    /// Brings in something made outside the ledger, with a published factor.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the factor is unknown.
    pub async fn declare(
        &self,
        product: &str,
        quantity: Quantity,
        mass: Milligrams,
        factor: FactorRef,
        evidence: Option<Evidence>,
    ) -> Result<LotId, ClientError> {
        let footprint = DeclaredFootprint::Factor(factor);
        let product = product.to_owned();
        let lot = LotDeclaration { product, quantity, mass, footprint, evidence };
        let applied = self.submit(vec![Operation::DeclareLot(lot)]).await?;
        Ok(applied.lot(0, 0))
    }

    /// What this machine owns, oldest first.
    ///
    /// # Errors
    /// [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn lots(&self) -> Result<Vec<(LotId, LotRow)>, ClientError> {
        self.lots_of(self.id).await
    }

    /// Makes lots into lots without an order; the new lots are `lot(0, output)` of the answer.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when mass does not balance.
    pub async fn transform(&self, work: Work) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::Transform(work.transformation())]).await
    }

    /// Hands a lot, or part of it, to another member; the answer names the receiver's lot.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the lot is another's.
    pub async fn transfer(
        &self,
        lot: LotId,
        quantity: Quantity,
        to: MemberId,
    ) -> Result<LotId, ClientError> {
        let transfer = LotTransfer { portion: Portion { lot, quantity }, to };
        let applied = self.submit(vec![Operation::TransferLot(transfer)]).await?;
        Ok(applied.lot(0, 0))
    }

    /// Books a lot, or part of it, out of the ledger.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the lot is another's.
    pub async fn sink(
        &self,
        lot: LotId,
        quantity: Quantity,
        kind: SinkKind,
    ) -> Result<Applied, ClientError> {
        let sink = LotSink { portion: Portion { lot, quantity }, kind };
        self.submit(vec![Operation::SinkLot(sink)]).await
    }

    /// Places an order and waits until it is final.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when the account has less than is to be held.
    pub async fn place(&self, order: Order) -> Result<OrderId, ClientError> {
        let applied = self.submit(vec![Operation::PlaceOrder(order.terms())]).await?;
        Ok(applied.order(0))
    }

    /// Takes an order on.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when this machine is not the provider.
    pub async fn accept(&self, order: OrderId) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::AcceptOrder(OrderStep { order })]).await
    }

    /// Declines an order.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when it was accepted already.
    pub async fn reject(&self, order: OrderId) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::RejectOrder(OrderStep { order })]).await
    }

    /// Withdraws an order.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when it was completed already.
    pub async fn cancel(&self, order: OrderId) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::CancelOrder(OrderStep { order })]).await
    }

    /// Begins the work.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when it was not accepted.
    pub async fn start(&self, order: OrderId) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::StartOrder(OrderStep { order })]).await
    }

    /// Reports what was made and what it took. The lots are `lot(0, output)` of the answer.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when more is used than there is.
    pub async fn complete(&self, order: OrderId, work: Work) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::CompleteOrder(work.completion(order))]).await
    }

    /// Takes delivery: lots and money change hands.
    ///
    /// # Errors
    /// [`ClientError::Rejected`], e.g. when nothing was completed.
    pub async fn confirm(&self, order: OrderId) -> Result<Applied, ClientError> {
        self.submit(vec![Operation::ConfirmOrder(OrderStep { order })]).await
    }
}
