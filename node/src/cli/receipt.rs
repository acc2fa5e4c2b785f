//! `kerbholz receipt`: proofs that verify with the network off.

use super::context::Context;
use super::error::CliError;
use super::find;
use super::output::Report;
use super::{amount, view};
use clap::Subcommand;
use kerbholz_client::committees::Committees;
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::transaction::UnverifiedTransaction;
use kerbholz_client::network::read_genesis;
use kerbholz_client::receipt::{RECEIPT_BYTES_MAX, Receipt, ReceiptError};
use kerbholz_client::{ClientError, Session};
use kerbholz_node::export::pact::proof::{self, Standing};
use kerbholz_node::files::{self, FileError};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What can be done with receipts.
#[derive(Subcommand)]
pub enum ReceiptCommand {
    /// Get the proof of an order's completion or of a transaction, e.g. `kerbholz receipt get
    /// latest --out bracket.receipt`
    Get {
        /// An order (`latest`, an id, or the beginning of one) or a transaction
        what: String,
        /// The file to write; it must not exist yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Verify a receipt offline, e.g. `kerbholz receipt verify bracket.receipt --genesis
    /// genesis.json`
    Verify {
        /// The receipt, or a product footprint that has one in it
        file: PathBuf,
        /// The network's genesis file; all that is needed
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
    },
}

/// Does it.
pub async fn run(context: &Context, command: ReceiptCommand) -> Result<Report, CliError> {
    match command {
        ReceiptCommand::Get { what, out } => get(context, &what, &out).await,
        ReceiptCommand::Verify { file, genesis } => verify(&file, &genesis),
    }
}

async fn get(context: &Context, what: &str, out: &Path) -> Result<Report, CliError> {
    if out.exists() {
        return Err(FileError::Exists(out.to_owned()).into());
    }
    let session = context.reader()?;
    let id = subject(&session, what).await?;
    let receipt = session.receipt(id).await?;
    files::write_new(out, &receipt.encode(), false)?;
    let genesis = context.dir().join(kerbholz_client::network::GENESIS_FILE);
    let text = format!(
        "Wrote {}. Verify it, anywhere:\n  kerbholz receipt verify {} --genesis {}",
        out.display(),
        out.display(),
        genesis.display(),
    );
    Ok(Report::new(text, json!({ "transaction": id, "file": out })))
}

/// The transaction that proves most about what is named: for an order its completion, which holds
/// its footprint, or its placement as long as nothing was made.
async fn subject(session: &Session, what: &str) -> Result<TransactionId, CliError> {
    match find::order(session, None, what).await {
        Ok((_, order)) => match &order.completed {
            None => Ok(order.transaction),
            Some(completed) => {
                Ok(session.transformation(completed.transformation).await?.transaction)
            }
        },
        Err(CliError::Usage(_) | CliError::Client(ClientError::Unknown(_))) if what != "latest" => {
            find::transaction(session, what).await
        }
        Err(error) => Err(error),
    }
}

fn verify(file: &Path, genesis: &Path) -> Result<Report, CliError> {
    /// A product footprint has its receipt in hexadecimal.
    const BYTES_MAX: usize = 3 * RECEIPT_BYTES_MAX;
    let failed = |source| FileError::Io { path: file.to_owned(), source };
    let genesis = read_genesis(genesis)?;
    let length = std::fs::metadata(file).map_err(failed)?.len();
    if length > BYTES_MAX as u64 {
        let reason = format!("{length} bytes: no receipt is longer than {RECEIPT_BYTES_MAX}");
        return Err(FileError::Malformed { path: file.to_owned(), reason }.into());
    }
    let bytes = std::fs::read(file).map_err(failed)?;
    // No receipt is JSON.
    if serde_json::from_slice::<IgnoredAny>(&bytes).is_err() {
        let receipt = Receipt::decode(&bytes)?;
        let committees = receipt.verify(&genesis)?;
        return Ok(proven(&receipt, &genesis, &committees)?);
    }
    let (document, receipt) = proof::read(&bytes)?;
    let committees = receipt.verify(&genesis)?;
    let standing = proof::compare(&document, &receipt, genesis.network())?;
    let mut report = proven(&receipt, &genesis, &committees)?;
    let (says, word) = match standing {
        Standing::AsBooked => ("its figures are the proven ones", "as_booked"),
        Standing::Restated => (
            "restated since: proved are the lot and its first figures, not those in it",
            "restated",
        ),
    };
    report.text = format!("document     {}, {says}\n{}", document.id, report.text);
    if let Value::Object(fields) = &mut report.json {
        fields.insert("document".into(), word.into());
    }
    Ok(report)
}

/// What a verified receipt proves.
fn proven(
    receipt: &Receipt,
    genesis: &Genesis,
    committees: &Committees,
) -> Result<Report, ReceiptError> {
    let (executed, checkpoint) = (&receipt.proof.executed, &receipt.checkpoint);
    let (epoch, authorities) = (committees.epoch().get(), committees.authorities());
    let signed: Vec<&str> = checkpoint
        .signatures
        .iter()
        .filter_map(|(index, _)| authorities.get(usize::from(index.0)))
        .map(|authority| authority.name.as_str())
        .collect();
    let result = match executed.result {
        Ok(()) => "applied".to_owned(),
        Err(rejection) => format!("rejected: {rejection}"),
    };
    let signer = receipt.proof.transaction.as_deref().and_then(|bytes| {
        UnverifiedTransaction::decode(bytes).ok()?.verify().ok().map(|one| one.envelope().signer)
    });
    let commit = checkpoint.statement.index;
    let mut lines = vec![
        "The receipt verifies. It proves:".to_owned(),
        format!("network      {} ({})", genesis.name, genesis.network().short()),
        format!("transaction  {}, {result}", executed.id),
        match signer {
            Some(signer) => format!("signed by    the key {signer}"),
            None => "signed by    nobody: a deadline passed, or it was no valid transaction".into(),
        },
        format!("place        leaf {} of the log, as it was after commit {commit}", executed.leaf),
        format!(
            "vouched for  {} of {} authorities: {}",
            signed.len(),
            authorities.len(),
            signed.join(", ")
        ),
    ];
    if epoch > 0 {
        lines.push(format!(
            "             the committee of epoch {epoch}, proved from the genesis on"
        ));
    }
    let mut orders: Vec<Value> = Vec::new();
    for (id, order) in receipt.proof.orders()? {
        let terms = &order.terms;
        let price = amount::money(terms.price.get(), view::currency(&terms.settlement));
        let (quantity, product) = (view::quantity(terms.quantity), &terms.product);
        lines.push(format!("order        {id}, {}", view::state(order.state)));
        lines.push(format!("             {quantity} {product}, {price}"));
        if let Some(completed) = &order.completed {
            lines.push(format!("\n{}", super::footprint::text(&completed.footprint)));
        }
        orders.push(view::order(id, &order));
    }
    let lots: Vec<Value> =
        receipt.proof.lots()?.iter().map(|(id, lot)| view::lot(*id, lot)).collect();
    let json = json!({
        "verified": true, "network": genesis.network(), "transaction": executed.id,
        "result": result, "signer": signer, "leaf": executed.leaf, "commit": commit,
        "authorities": signed, "epoch": epoch, "orders": orders, "lots": lots,
    });
    Ok(Report::new(lines.join("\n"), json))
}
