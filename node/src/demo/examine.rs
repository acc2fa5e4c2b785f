//! After everything was stopped: the killed authority's data is replayed, a receipt is verified with
//! nothing but the genesis file, and all authorities' ledgers are held against one another.

use super::interruption::KILLED;
use super::{Acted, DemoError, RECEIPT_FILE};
use crate::audit::{AuditError, Observer, Replay, compare, replay};
use crate::setup::authority_folder;
use kerbholz_client::network::{GENESIS_FILE, Network, committee, read_genesis};
use kerbholz_client::receipt::Receipt;
use kerbholz_ledger::execute::Effects;
use kerbholz_ledger::id::LotId;
use kerbholz_ledger::rows::{LotRow, Table};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What the examination found.
pub struct Examined {
    /// Whose data was replayed.
    pub authority: String,
    /// The replayed ledger.
    pub replay: Replay,
    /// Every lot as it was when it was made.
    pub births: BTreeMap<LotId, LotRow>,
    /// The receipt that was verified.
    pub receipt: ReceiptFinding,
    /// How far each authority's ledger reaches; all of them one history.
    pub ledgers: Vec<LedgerFinding>,
}

/// A receipt that verified.
#[derive(Clone, Debug, Serialize)]
pub struct ReceiptFinding {
    /// The transaction.
    pub transaction: String,
    /// The commit whose checkpoint proves it.
    pub checkpoint: u64,
    /// Authorities that signed.
    pub signatures: usize,
    /// Its length in bytes.
    pub bytes: usize,
    /// The order that it proves delivered, if it is about one.
    pub order: Option<String>,
}

/// How far an authority's ledger reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LedgerFinding {
    /// The authority.
    pub authority: String,
    /// Commits in its ledger, the same as the others' as far as both reach.
    pub commits: u64,
}

/// Remembers every lot as it was made.
#[derive(Default)]
struct Births(BTreeMap<LotId, LotRow>);

impl Observer for Births {
    fn executed(&mut self, effects: &Effects) {
        for write in effects.executed.iter().flat_map(|executed| &executed.writes) {
            let Some((table, id)) = write.key.split_first() else { continue };
            let Ok(id) = <[u8; 32]>::try_from(id) else { continue };
            let (Some(value), true) = (&write.value, *table == Table::Lot as u8) else { continue };
            if let Ok(row) = kerbholz_ledger::codec::decode_trusted(value) {
                self.0.entry(LotId::new(id)).or_insert(row);
            }
        }
    }

    fn advanced(&mut self, _: u64) {}
}

/// Examines what the authorities left behind.
///
/// # Errors
/// [`DemoError`]: the first difference, the damaged file, or why the receipt proves nothing.
pub fn examine(folder: &Path, network: &Network, acted: &Acted) -> Result<Examined, DemoError> {
    let names: Vec<&str> =
        network.genesis().authorities.iter().map(|authority| authority.name.as_str()).collect();
    let data = |name: &str| authority_folder(folder, name).join("data");
    let authority = names.get(KILLED).copied().unwrap_or_default().to_owned();
    // The auditor has the copy and the genesis file, nothing else.
    let genesis = read_genesis(&folder.join(GENESIS_FILE))?;
    let failed = |authority: &str| {
        let authority = authority.to_owned();
        move |source: AuditError| DemoError::Audit { authority, source: Box::new(source) }
    };
    let mut births = Births::default();
    let replayed = replay(&data(&authority), &genesis, &mut births).map_err(failed(&authority))?;
    let committee = committee(&genesis).map_err(|error| failed(&authority)(error.into()))?;
    let mut ledgers = Vec::new();
    for name in &names {
        let agreement =
            compare(&data(name), &data(&authority), &committee).map_err(failed(name))?;
        let authority = (*name).to_owned();
        ledgers.push(LedgerFinding { authority, commits: agreement.commits });
    }
    let receipt = verify(folder, &genesis)?;
    if acted.played.first().is_some_and(|first| first.delivery.to_string() != receipt.transaction) {
        return Err(DemoError::Missing("the receipt of the delivery".into()));
    }
    Ok(Examined { authority, replay: replayed, births: births.0, receipt, ledgers })
}

/// Verifies the receipt file with nothing but the genesis.
fn verify(
    folder: &Path,
    genesis: &kerbholz_ledger::genesis::Genesis,
) -> Result<ReceiptFinding, DemoError> {
    let path = folder.join(RECEIPT_FILE);
    let bytes = std::fs::read(&path).map_err(DemoError::io(&path))?;
    let receipt = Receipt::decode(&bytes)?;
    receipt.verify(genesis)?;
    let orders = receipt.proof.orders().unwrap_or_default();
    Ok(ReceiptFinding {
        transaction: receipt.proof.executed.id.to_string(),
        checkpoint: receipt.checkpoint.statement.index,
        signatures: receipt.checkpoint.signatures.len(),
        bytes: bytes.len(),
        order: orders.first().map(|(id, _)| id.to_string()),
    })
}
