//! The small world of `kerbholz dev`: two companies, a press that orders and a printer with its
//! meter, published factors, money, powder and a first reading.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::machine::key_for;
use crate::cli::output::Output;
use crate::cli::{meter, money};
use kerbholz_client::ledger::factor::FactorRef;
use kerbholz_client::ledger::id::{FactorSetId, MemberId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::quantity::{Milligrams, Timestamp, Unit};
use kerbholz_client::ledger::rows::{FactorSetRow, MemberRow, Table, key};
use kerbholz_client::order::kilograms;
use kerbholz_client::session::now;
use kerbholz_client::{MeterSpecification, Organisation};
use kerbholz_node::factors::{DEFAULT, FactorFile};
use kerbholz_node::scenario::Scenario;
use kerbholz_node::scenario::shipped::SCENARIOS;

/// The company that buys, and issues the currency.
pub const BUYERS: &str = "stamping";
/// The company that makes.
pub const MAKERS: &str = "printworks";
/// The publisher of the factors.
pub const PUBLISHER: &str = "factors";
/// The currency.
pub const CURRENCY: &str = "EUR";

const BUYER: &str = "press";
const MAKER: &str = "printer";
const METER: &str = "printer-meter";
const POWDER: &str = "PA12 powder";
const POWDER_FACTOR: &str = "material.PA12_powder";
/// The meter is simulated: its readings may not count as measured.
const GRID_FACTOR: &str = "electricity.DE.modelled";
/// What the buyers may spend, in minor units.
const MONEY: u64 = 1_000_000;
/// What the printer has in store.
const POWDER_KILOGRAMS: u64 = 5;
/// What its meter has counted: 25 kWh.
const COUNTED_JOULES: u64 = 25 * 3_600_000;
/// During the last hour.
const COUNTED_DURING_MS: u64 = 3_600_000;

/// The two companies, and those of the scenarios that are built in: `kerbholz scenario run` plays them
/// here.
pub fn organisations() -> Result<Vec<String>, CliError> {
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1)?;
    let mut organisations = vec![BUYERS.to_owned(), MAKERS.to_owned()];
    for (file, text) in SCENARIOS {
        for name in Scenario::parse(file, text, &factors)?.organisations.into_keys() {
            if !organisations.contains(&name) {
                organisations.push(name);
            }
        }
    }
    Ok(organisations)
}

/// Sets up what is missing.
pub async fn set_up(context: &Context, output: &Output) -> Result<(), CliError> {
    let set = publish(context, output).await?;
    let factor = |code: &str| FactorRef { set, code: code.to_owned() };

    let buyers = context.organisation(BUYERS).await?;
    enrol(context, output, &buyers, BUYER).await?;
    if money::issued(&buyers, CURRENCY).await? == 0 {
        buyers.issue(buyers.id(), CURRENCY, MONEY).await?;
    }
    let makers = context.organisation(MAKERS).await?;
    let host = enrol(context, output, &makers, MAKER).await?;
    let meter_key = key_for(&context.key_file(METER))?;
    if !is_enrolled(&makers, &meter_key).await? {
        let meter = MeterSpecification {
            host,
            product: "electricity".into(),
            unit: Unit::Joule,
            factor_code: GRID_FACTOR.into(),
            register: 0,
            register_end: None,
        };
        makers.enrol_meter(METER, &meter_key, meter).await?;
    }

    let printer = context.machine(MAKER).await?;
    let declared = printer.lots().await?;
    if !declared.iter().any(|(_, lot)| lot.product == POWDER) {
        output.remark("Declaring powder ...");
        let mass = Milligrams::new(kilograms(POWDER_KILOGRAMS).amount);
        let powder = kilograms(POWDER_KILOGRAMS);
        printer.declare(POWDER, powder, mass, factor(POWDER_FACTOR), None).await?;
    }
    let meter = context.meter(METER).await?;
    if meter::row(&meter).await?.readings == 0 {
        output.remark("Booking a meter reading ...");
        let end = now();
        let begin = Timestamp::new(end.get().saturating_sub(COUNTED_DURING_MS));
        meter.read(COUNTED_JOULES, begin, end, factor(GRID_FACTOR)).await?;
    }
    context.keep_seen(&meter);
    Ok(())
}

async fn publish(context: &Context, output: &Output) -> Result<FactorSetId, CliError> {
    let (name, text) = DEFAULT;
    let file = FactorFile::parse(name, text)?;
    let publisher = context.publisher(PUBLISHER).await?;
    let set = FactorSetId::of(publisher.id(), &file.name, file.version);
    let row: Option<FactorSetRow> = publisher.row(key(Table::FactorSet, &[set.as_bytes()])).await?;
    if row.is_none() {
        output.remark("Publishing emission factors ...");
        publisher.publish(&file.name, file.version, file.factors).await?;
    }
    Ok(set)
}

async fn is_enrolled(organisation: &Organisation, key_pair: &Keypair) -> Result<bool, CliError> {
    let id = MemberId::of(&key_pair.public());
    let row: Option<MemberRow> = organisation.row(key(Table::Member, &[id.as_bytes()])).await?;
    Ok(row.is_some())
}

async fn enrol(
    context: &Context,
    output: &Output,
    organisation: &Organisation,
    name: &str,
) -> Result<MemberId, CliError> {
    let owner_key = context.key_file(&format!("{name}.owner"));
    let path = context.key_file(name);
    // After a rotation the file of the owner key says who it is.
    let key_pair = match kerbholz_node::files::read_key(&owner_key) {
        Ok(owner) => owner,
        Err(_) => key_for(&path)?,
    };
    if !is_enrolled(organisation, &key_pair).await? {
        output.remark(&format!("Enrolling {name} ..."));
        organisation.enrol_machine(name, &key_pair).await?;
    }
    Ok(MemberId::of(&key_pair.public()))
}
