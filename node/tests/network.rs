//! A network of four authorities in one process, over real sockets and real disks: machines trade,
//! an authority goes and comes back, all of them restart.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kerbholz_client::ledger::factor::{Factor, FactorRef, Impact, Quality, Standing};
use kerbholz_client::ledger::footprint::{Dimension, DimensionSet, GwpSet};
use kerbholz_client::ledger::id::{LotId, NetworkId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::operation::{MoneyIssue, MoneyRedemption, Operation};
use kerbholz_client::ledger::order::OrderState;
use kerbholz_client::ledger::quantity::{
    Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit,
};
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::{AccountRow, Table, key};
use kerbholz_client::ledger::transaction::{Envelope, TRANSACTION_VERSION, Transaction};
use kerbholz_client::order::{Order, Work, grams, pieces, watt_hours};
use kerbholz_client::protocol::Refusal;
use kerbholz_client::session::now;
use kerbholz_client::{
    ClientError, Machine, Meter, MeterSpecification, Network, Organisation, Publisher, Session,
};
use kerbholz_node::config::{NodeConfig, Pace};
use kerbholz_node::files::{new_key, read_key};
use kerbholz_node::node::{self, NodeError};
use kerbholz_node::setup::{Setup, authority_folder, member_key};
use std::path::Path;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// An authority that runs in this process.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), NodeError>>,
}

impl Running {
    async fn start(folder: &Path, index: usize) -> Self {
        let folder = authority_folder(folder, &format!("authority-{index}"));
        let config = NodeConfig::read(&folder).unwrap();
        let (stop, stopped) = watch::channel(false);
        let (ready, listens) = oneshot::channel();
        let task = tokio::spawn(node::run(config, stopped, |_| ready.send(()).unwrap()));
        if listens.await.is_err() {
            panic!("authority {index} did not start: {:?}", task.await);
        }
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap().unwrap();
    }

    /// As a crash, as far as one process can have one: nothing is told to stop or to sync.
    async fn abort(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

fn setup(folder: &Path, authorities: u16) -> Network {
    let setup = Setup {
        name: "test".into(),
        authorities,
        host: [127, 0, 0, 1].into(),
        port: None,
        pace: Pace::Lan,
        organisations: vec!["bank".into(), "maker".into()],
        publishers: vec!["factors".into()],
        auditors: vec![],
        material_climate: None,
        currency: "EUR".into(),
        accounting_period: kerbholz_node::setup::DAY,
    };
    setup.create(folder).unwrap();
    Network::open(folder).unwrap()
}

fn factor(code: &str, unit: Unit, climate: i128) -> Factor {
    Factor {
        code: code.into(),
        reference: Quantity::new(1_000, unit),
        impacts: vec![Impact { dimension: Dimension::Climate, value: climate }],
        declared: DimensionSet::of(&[Dimension::Climate]),
        gwp_set: GwpSet::Ar6,
        quality: Quality { technology: 1, geography: 2, time: 3 },
        region: "DE".into(),
        valid_from: Timestamp::new(0),
        valid_until: Timestamp::new(u64::MAX),
        source: "made up for this test".into(),
        licence: "none".into(),
        standing: Standing::Verified,
    }
}

struct World {
    press: Machine,
    printer: Machine,
    powder: LotId,
    energy: LotId,
}

async fn world(network: &Network, folder: &Path) -> World {
    let key = |name| read_key(&member_key(folder, name)).unwrap();
    let bank = Organisation::connect(network, &key("bank")).await.unwrap();
    let maker = Organisation::connect(network, &key("maker")).await.unwrap();
    let publisher = Publisher::connect(network, &key("factors")).await.unwrap();
    let factors = vec![factor("powder", Unit::Milligram, 7), factor("grid", Unit::Joule, 100)];
    let set = publisher.publish("test", 1, factors).await.unwrap();
    bank.issue(bank.id(), "EUR", 100_000).await.unwrap();
    let (press_key, printer_key, meter_key) =
        (new_key().unwrap(), new_key().unwrap(), new_key().unwrap());
    bank.enrol_machine("press", &press_key).await.unwrap();
    let host = maker.enrol_machine("printer", &printer_key).await.unwrap();
    let specification = MeterSpecification {
        host,
        product: "electricity".into(),
        unit: Unit::Joule,
        factor_code: "grid".into(),
        register: 0,
        register_end: None,
    };
    maker.enrol_meter("meter", &meter_key, specification).await.unwrap();
    // Their authorities may be behind the one that admitted them.
    let session = |key| {
        let session = Session::open(network, key).unwrap();
        session.catch_up_with(maker.seen());
        session
    };
    let press = Machine::over(session(&press_key)).await.unwrap();
    let printer = Machine::over(session(&printer_key)).await.unwrap();
    let meter = Meter::over(session(&meter_key)).await.unwrap();
    let of = |code: &str| FactorRef { set, code: code.into() };
    let mass = Milligrams::new(1_000_000);
    let powder = printer.declare("powder", grams(1_000), mass, of("powder"), None).await.unwrap();
    let end = now();
    let begin = Timestamp::new(end.get() - 3_600_000);
    let energy = meter.read(7_200_000, begin, end, of("grid")).await.unwrap();
    World { press, printer, powder, energy }
}

/// One order from placing to paying.
async fn trade(world: &World) {
    let World { press, printer, powder, energy } = world;
    let order = Order::of("bracket", pieces(1))
        .from(printer.id())
        .price("EUR", 2_500)
        .require(DimensionSet::of(&[Dimension::Climate]));
    let order = press.place(order).await.unwrap();
    printer.accept(order).await.unwrap();
    printer.start(order).await.unwrap();
    let work = Work::finished()
        .used(*powder, grams(120))
        .used(*energy, watt_hours(100))
        .made("bracket", pieces(1), Milligrams::new(100_000))
        .wasted("spent powder", Quantity::new(20_000, Unit::Milligram), Milligrams::new(20_000));
    let completed = printer.complete(order, work).await.unwrap();
    let confirmed = press.confirm(order).await.unwrap();
    let row = press.wait_for(order, OrderState::Settled, Duration::from_secs(10)).await.unwrap();
    assert_eq!(row.state, OrderState::Settled);
    let part = press.lot(completed.lot(0, 0)).await.unwrap();
    assert_eq!(part.owner, press.id());
    // 120 g at 7 ng per 1,000 mg, and 360 kJ at 100 ng per 1,000 J.
    assert_eq!(part.footprint.get(Dimension::Climate), 840 + 36_000);
    assert_eq!(part.footprint.get(Dimension::ClimateMeasured), 36_000);
    let receipt = press.receipt(confirmed.id).await.unwrap();
    receipt.verify(press.network().genesis()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn machines_trade_while_authorities_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let network = setup(folder.path(), 4);
    let mut running = Vec::new();
    for index in 0..4 {
        running.push(Running::start(folder.path(), index).await);
    }
    let world = world(&network, folder.path()).await;
    trade(&world).await;

    // One goes without a word; the others go on, and it catches up.
    running.remove(3).abort().await;
    trade(&world).await;
    running.push(Running::start(folder.path(), 3).await);
    trade(&world).await;
    let reached = world.press.seen();
    loop {
        let info = world.press.info_of(3).await.unwrap();
        if info.commit >= reached {
            break;
        }
        tokio::task::yield_now().await;
    }

    // All go, and all come back.
    for authority in running.drain(..) {
        authority.stop().await;
    }
    for index in 0..4 {
        running.push(Running::start(folder.path(), index).await);
    }
    trade(&world).await;

    let again = world.press.sign(vec![]);
    let error = world.press.submit_signed(&again).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Rejected { rejection, .. } if rejection.code == Code::TooManyOperations),
        "{error}"
    );
    for authority in running {
        authority.stop().await;
    }
}

/// An envelope that is in order, for the tests to spoil.
fn envelope(network: &Network, signer: &Keypair) -> Envelope {
    let created_at = now();
    let redemption = MoneyRedemption { currency: "EUR".into(), amount: Minor::new(1) };
    Envelope {
        version: TRANSACTION_VERSION,
        network: network.id(),
        signer: signer.public(),
        created_at,
        expires_at: created_at.saturating_add(Milliseconds::new(60_000)),
        operations: vec![Operation::RedeemMoney(redemption)],
    }
}

async fn refusal(session: &Session, transaction: &Transaction) -> Code {
    match session.submit_signed(transaction).await {
        Err(ClientError::Refused(Refusal::Rejected(code))) => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_by_itself_is_refused_at_the_door() {
    let folder = tempfile::tempdir().unwrap();
    let network = setup(folder.path(), 1);
    let authority = Running::start(folder.path(), 0).await;
    let bank = read_key(&member_key(folder.path(), "bank")).unwrap();
    let stranger = new_key().unwrap();
    let session = Session::open(&network, &bank).unwrap();

    let good = || envelope(&network, &bank);
    let hour = Milliseconds::new(3_600_000);
    let spoiled = [
        (Envelope { version: 2, ..good() }, Code::UnknownVersion),
        (Envelope { network: NetworkId::new([7; 32]), ..good() }, Code::WrongNetwork),
        (Envelope { created_at: now().saturating_add(hour), ..good() }, Code::NotYetValid),
        (
            Envelope { created_at: Timestamp::new(1), expires_at: Timestamp::new(2), ..good() },
            Code::Expired,
        ),
    ];
    for (envelope, code) in spoiled {
        assert_eq!(refusal(&session, &envelope.sign(&bank)).await, code);
    }
    assert_eq!(refusal(&session, &good().sign(&stranger)).await, Code::BadSignature);
    let of_stranger = envelope(&network, &stranger).sign(&stranger);
    assert_eq!(refusal(&session, &of_stranger).await, Code::UnknownSigner);
    let operations = vec![good().operations[0].clone(); 12_000];
    let oversize = Envelope { operations, ..good() }.sign(&bank);
    assert_eq!(refusal(&session, &oversize).await, Code::TooLarge);
    let operations = vec![good().operations[0].clone(); 100_000];
    let enormous = Envelope { operations, ..good() }.sign(&bank);
    assert_eq!(refusal(&session, &enormous).await, Code::TooLarge, "and not even sent");
    assert_eq!(session.info().await.unwrap().transactions, 0, "none of it was recorded");
    authority.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_transaction_answers_with_the_first_result() {
    let folder = tempfile::tempdir().unwrap();
    let network = setup(folder.path(), 4);
    let mut running = Vec::new();
    for index in 0..4 {
        running.push(Running::start(folder.path(), index).await);
    }
    let bank = read_key(&member_key(folder.path(), "bank")).unwrap();
    let to = network.genesis().organisation("bank").unwrap();
    let issue = MoneyIssue { currency: "EUR".into(), to, amount: Minor::new(5) };
    let operations = vec![Operation::IssueMoney(issue)];
    let transaction = Envelope { operations, ..envelope(&network, &bank) }.sign(&bank);

    // The same bytes through several sessions at once, and once more afterwards.
    let sessions: Vec<_> = (0..3).map(|_| Session::open(&network, &bank).unwrap()).collect();
    let (a, b, c) = tokio::join!(
        sessions[0].submit_signed(&transaction),
        sessions[1].submit_signed(&transaction),
        sessions[2].submit_signed(&transaction),
    );
    let first = a.unwrap().row;
    assert_eq!((b.unwrap().row, c.unwrap().row), (first.clone(), first.clone()));
    assert_eq!(sessions[0].submit_signed(&transaction).await.unwrap().row, first);
    let account = key(Table::Account, &[to.as_bytes(), b"EUR"]);
    let account: AccountRow = sessions[0].row(account).await.unwrap().unwrap();
    assert_eq!(account.available, Minor::new(5), "issued once");
    for authority in running {
        authority.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_and_a_foreign_key_are_said_clearly() {
    let folder = tempfile::tempdir().unwrap();
    setup(folder.path(), 2);
    let config = |index| {
        NodeConfig::read(&authority_folder(folder.path(), &format!("authority-{index}"))).unwrap()
    };
    let (_stop, stopped) = watch::channel(false);

    let port = config(0).listen[0].rsplit('/').next().unwrap().parse().unwrap();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = node::run(config(0), stopped.clone(), |_| {}).await.unwrap_err();
    assert!(matches!(error, NodeError::Network(_)), "{error}");
    assert!(error.to_string().contains(&port.to_string()), "{error}");

    let stolen = NodeConfig { key: config(0).key, ..config(1) };
    let error = node::run(stolen, stopped.clone(), |_| {}).await.unwrap_err();
    assert!(matches!(error, NodeError::NotMyKey { .. }), "{error}");

    let nowhere = NodeConfig { data: config(1).key.join("below"), ..config(1) };
    let error = node::run(nowhere, stopped, |_| {}).await.unwrap_err();
    assert!(matches!(error, NodeError::Storage(_)), "{error}");
}
