//! A press orders a bracket of a printer, from the order to the receipt. Start `kerbholz dev` first,
//! then, in the same folder: `cargo run --release -p kerbholz-client --example spare_part`.
#![expect(clippy::print_stdout, reason = "an example talks")]

use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::id::LotId;
use kerbholz_client::network::read_key;
use kerbholz_client::order::{Order, Work, grams, mass_grams, pieces, watt_hours};
use kerbholz_client::{Machine, Network};
use std::error::Error;
use std::path::PathBuf;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A network is a folder with its genesis and addresses; a machine is a key.
    let folder = std::env::var("KERBHOLZ_DIR").unwrap_or("kerbholz-data/dev".into());
    let folder = PathBuf::from(folder);
    let network = Network::open(&folder)?;
    let (press, printer) = ("members/press.key", "members/printer.key");
    let press = Machine::connect(&network, &read_key(&folder.join(press))?).await?;
    let printer = Machine::connect(&network, &read_key(&folder.join(printer))?).await?;

    // The press orders; every call returns when what it did is final.
    let terms = Order::of("bracket", pieces(1)).from(printer.id()).price("EUR", 25_00);
    let order = press.place(terms).await?;
    println!("placed    {order}");

    // The printer takes the order on, and makes the bracket of powder and metered energy.
    printer.accept(order).await?;
    printer.start(order).await?;
    let work = Work::finished()
        .used(lot(&printer, "PA12 powder").await?, grams(120))
        .used(lot(&printer, "electricity").await?, watt_hours(1_800))
        .made("bracket", pieces(1), mass_grams(100))
        .wasted("spent powder", grams(20), mass_grams(20));
    let completed = printer.complete(order, work).await?;
    println!("completed {} after {:?}", completed.id, completed.finality);

    // The press takes delivery: money changes hands, and the bracket with all that it cost.
    press.confirm(order).await?;
    let bracket = press.lot(completed.lot(0, 0)).await?;
    println!("climate   {} ng CO2e", bracket.footprint.get(Dimension::Climate));

    // A receipt convinces anybody who has the genesis file, with the network off.
    let receipt = press.receipt(completed.id).await?;
    receipt.verify(network.genesis())?;
    println!("receipt   verified, {} bytes", receipt.encode().len());
    Ok(())
}

/// The machine's oldest lot of a product.
async fn lot(machine: &Machine, product: &str) -> Result<LotId, Box<dyn Error>> {
    let lots = machine.lots().await?;
    let found = lots.into_iter().find(|(_, lot)| lot.product == product);
    Ok(found.ok_or(format!("the machine has no {product}"))?.0)
}
