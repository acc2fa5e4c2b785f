//! `kerbholz demo`: the main job, end to end, on one machine.
//!
//! Four authorities as separate processes, four organisations with machines and meters as clients
//! of the SDK. The machines play the scenario files; halfway, one authority is killed and brought
//! back; then everything is stopped, the killed authority's data is replayed by an auditor, and one
//! receipt is verified with nothing but the genesis file. What comes out is a [`Findings`], computed
//! from the replayed ledger alone.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`stories`] | reads the scenario files |
//! | [`authorities`] | starts, kills, stops and measures the processes |
//! | [`cast`] | publishes factors, enrols machines and meters, issues money |
//! | [`join`] | the same on a network that runs already |
//! | [`player`] | plays a variant, step by step |
//! | [`interruption`] | kills an authority when half of the steps are done |
//! | [`timing`] | finality, as the clients see it |
//! | [`examine`] | replays, verifies, compares |
//! | [`books`] | what the ledger says of a variant |
//! | [`findings`], [`flows`] | what the ledger says, as data |
//! | [`show`], [`report`] | the same for people |

pub mod authorities;
pub mod books;
pub mod cast;
pub mod examine;
pub mod findings;
pub mod flows;
pub mod interruption;
pub mod join;
pub mod player;
pub mod report;
pub mod screen;
pub mod show;
pub mod stories;
pub mod timing;
pub mod units;

use crate::audit::AuditError;
use crate::config::Pace;
use crate::setup::{Setup, SetupError};
use crate::written::{Problem, Problems};
use authorities::{Authorities, ProcessError};
use cast::Cast;
use findings::Findings;
use kerbholz_client::network::{Network, NetworkFileError};
use kerbholz_client::receipt::ReceiptError;
use kerbholz_client::{ClientError, Session};
use kerbholz_ledger::quantity::CommitIndex;
use player::{Played, Stage};
use screen::Screen;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stories::Stories;
use tokio::task::JoinSet;

/// How many authorities there are: the fewest of which one may fail.
const AUTHORITIES: u16 = 4;
/// Variants played at once.
const VARIANTS_AT_ONCE: usize = 16;
/// How long the authorities may take to agree on the end.
const SETTLE_WITHIN: Duration = Duration::from_secs(30);
/// The publisher of the factor set.
const PUBLISHER: &str = "factor-publisher";

/// What to demonstrate, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder of scenario files instead of those that are built in.
    pub scenarios: Option<PathBuf>,
    /// Where to keep the data; a temporary folder that is removed at the end if not given.
    pub data: Option<PathBuf>,
    /// The variants to play; all if empty.
    pub only: Vec<String>,
    /// The `kerbholz` program whose `node` command runs an authority.
    pub program: PathBuf,
}

/// Why the demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A scenario file cannot be played.
    #[error(transparent)]
    Scenario(#[from] Problem),
    /// A factor file cannot be used.
    #[error(transparent)]
    Factors(#[from] Problems),
    /// A scenario file cannot be read, or the files do not go together.
    #[error("{0}")]
    Stories(String),
    /// The network's files could not be made.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The network's files could not be read.
    #[error(transparent)]
    Network(#[from] NetworkFileError),
    /// A folder or file.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An authority's process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A machine could not do its step.
    #[error("{what}: {source}")]
    Step {
        /// Which step.
        what: String,
        /// Why.
        source: ClientError,
    },
    /// The authorities did not come to the same commit.
    #[error("the authorities did not reach commit {commit} in time: {standing}")]
    NotSettled {
        /// Which commit.
        commit: u64,
        /// Where each stands.
        standing: String,
    },
    /// The replay found a difference or a damaged file.
    #[error("the replay of {authority} says: {source}")]
    Audit {
        /// Whose data.
        authority: String,
        /// What it says.
        source: Box<AuditError>,
    },
    /// The receipt does not verify.
    #[error("the receipt does not verify: {0}")]
    Receipt(#[from] ReceiptError),
    /// What was replayed is not what was played.
    #[error("the replayed ledger lacks {0}")]
    Missing(String),
    /// Somebody pressed Ctrl-C, or the system asked to end.
    #[error("interrupted: the authorities were stopped")]
    Interrupted,
}

impl DemoError {
    fn step(what: impl Into<String>) -> impl FnOnce(ClientError) -> Self {
        let what = what.into();
        move |source| Self::Step { what, source }
    }

    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// A demo that failed, and where its data lies, if anything was written.
#[derive(Debug, thiserror::Error)]
#[error("{error}{}", kept(data.as_deref()))]
pub struct Failure {
    /// Why.
    pub error: Box<DemoError>,
    /// The data, kept for looking at.
    pub data: Option<PathBuf>,
}

fn kept(data: Option<&Path>) -> String {
    data.map_or_else(String::new, |data| format!("\nThe data is kept in {}", data.display()))
}

/// Plays the stories on a network that runs already, and reads back what was booked.
///
/// # Errors
/// [`DemoError`]: what is missing on the network, or which step was refused.
pub async fn perform_on(
    place: &join::Place,
    stories: Arc<Stories>,
    screen: &Screen,
) -> Result<(Vec<findings::ScenarioFinding>, CommitIndex), DemoError> {
    screen.begin("Machines and meters are enrolled where they are not yet");
    let cast = join::join(place, &stories).await?;
    let timing = timing::Timing::default();
    let stage = Stage::new(cast, timing, screen.clone(), stories.clone()).keeping_births();
    let stage = Arc::new(stage);
    screen.steps(stories.steps(), "Machines order, produce, deliver and settle");
    let played = play(&stage).await?;
    screen.begin("What was booked is read back");
    let reader = join::reader(place, stage.seen())?;
    let excerpt = books::Excerpt::read(&reader, &played).await?;
    screen.end();
    let mut scenarios = Vec::new();
    for (index, story) in stories.stories.iter().enumerate() {
        let played = played.iter().filter(|played| played.place.0 == index);
        let found = findings::scenario(story, &stories.factors, played, &excerpt.books())?;
        scenarios.push(found);
    }
    Ok((scenarios, stage.seen()))
}

/// Runs the demo.
///
/// # Errors
/// [`Failure`]; no process is left behind in any case.
pub async fn run(options: &Options, screen: &Screen) -> Result<Findings, Failure> {
    let nothing_kept = |error| Failure { error: Box::new(error), data: None };
    let stories = Stories::load(options.scenarios.as_deref(), &options.only);
    let stories = Arc::new(stories.map_err(nothing_kept)?);
    let (folder, temporary) = folder(options).map_err(nothing_kept)?;
    match perform(options, screen, &folder, stories).await {
        Ok(mut findings) => {
            if temporary {
                // What cannot be removed from the system's temporary folder is the system's affair.
                let _ = std::fs::remove_dir_all(&folder);
            } else {
                findings.data = Some(folder);
            }
            Ok(findings)
        }
        Err(error) if temporary && matches!(error, DemoError::Interrupted) => {
            let _ = std::fs::remove_dir_all(&folder);
            Err(nothing_kept(error))
        }
        Err(error) => {
            let ours = !matches!(error, DemoError::Setup(_));
            let written = ours && folder.join(kerbholz_client::network::GENESIS_FILE).exists();
            Err(Failure { error: Box::new(error), data: written.then_some(folder) })
        }
    }
}

/// The folder for the data, and whether it goes away at the end.
fn folder(options: &Options) -> Result<(PathBuf, bool), DemoError> {
    if let Some(data) = &options.data {
        std::fs::create_dir_all(data).map_err(DemoError::io(data))?;
        let data = data.canonicalize().map_err(DemoError::io(data))?;
        return Ok((data, false));
    }
    let base = std::env::temp_dir();
    for attempt in 0..1_000_u32 {
        let path = base.join(format!("kerbholz-demo-{}-{attempt}", std::process::id()));
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok((path, true)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(DemoError::Io { path, source }),
        }
    }
    Err(DemoError::Stories(format!("{}: no free name for a folder", base.display())))
}

async fn perform(
    options: &Options,
    screen: &Screen,
    folder: &Path,
    stories: Arc<Stories>,
) -> Result<Findings, DemoError> {
    let begin = Instant::now();
    screen.begin("Four authorities start, each a process with its own key, socket and disk");
    let setup = Setup {
        name: "demo".into(),
        authorities: AUTHORITIES,
        host: [127, 0, 0, 1].into(),
        port: None,
        pace: Pace::Lan,
        organisations: stories.organisations().map(|(name, _)| name.to_owned()).collect(),
        publishers: vec![PUBLISHER.into()],
        auditors: vec![],
        material_climate: None,
        currency: stories.currency.clone(),
        accounting_period: crate::setup::DAY,
    };
    setup.create(folder)?;
    let network = Network::open(folder)?;
    let authorities = Authorities::start(&options.program, folder, &network).await?;
    let acted = tokio::select! {
        acted = act(screen, folder, &network, &authorities, &stories) => acted,
        () = interrupted() => Err(DemoError::Interrupted),
    };
    screen.begin("The authorities stop");
    let measured = authorities.stop().await;
    let acted = acted?;
    screen.begin("An auditor replays the killed authority's data and verifies a receipt offline");
    let examined = tokio::task::block_in_place(|| examine::examine(folder, &network, &acted))?;
    let findings = findings::assemble(&stories, acted, examined, measured, begin.elapsed())?;
    screen.end();
    Ok(findings)
}

/// Waits for Ctrl-C or the system's request to end.
async fn interrupted() {
    #[cfg(unix)]
    if let Ok(mut term) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = term.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// What was played, before anything was examined.
pub struct Acted {
    /// The variants, in the order of the files.
    pub played: Vec<Played>,
    /// What the killing of an authority showed.
    pub interruption: interruption::Interruption,
    /// Finality as the clients saw it.
    pub timing: timing::Timing,
    /// The factor set.
    pub factors: kerbholz_ledger::id::FactorSetId,
    /// Transactions submitted by the clients.
    pub submissions: u64,
    /// How long the playing took.
    pub playing: Duration,
}

async fn act(
    screen: &Screen,
    folder: &Path,
    network: &Network,
    authorities: &Authorities,
    stories: &Arc<Stories>,
) -> Result<Acted, DemoError> {
    screen.begin("Organisations enrol their machines and meters, a publisher publishes factors");
    let timing = timing::Timing::default();
    let cast = Cast::assemble(folder, network, stories, &timing).await?;
    let factors = cast.factors;
    let total = stories.steps();
    let stage = Arc::new(Stage::new(cast, timing.clone(), screen.clone(), stories.clone()));
    screen.steps(total, "Machines order, produce, deliver and settle");
    let begin = Instant::now();
    let (played, interruption) = tokio::try_join!(
        play(&stage),
        interruption::interrupt(authorities, &stage, total, &timing, screen),
    )?;
    let playing = begin.elapsed();
    screen.begin("The network settles: every authority has every order");
    settle(authorities, stage.seen()).await?;
    keep_receipt(folder, &stage, &played).await?;
    authorities.sample().await;
    Ok(Acted { played, interruption, submissions: timing.count(), timing, factors, playing })
}

pub(crate) async fn play(stage: &Arc<Stage>) -> Result<Vec<Played>, DemoError> {
    let slots = Arc::new(tokio::sync::Semaphore::new(VARIANTS_AT_ONCE));
    let mut tasks = JoinSet::new();
    for place in stage.stories.variants() {
        let (stage, slots) = (stage.clone(), slots.clone());
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            player::play(&stage, place).await
        });
    }
    let mut played = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => played.push(result?),
            Err(error) => return Err(DemoError::Missing(format!("a player: {error}"))),
        }
    }
    stage.finish();
    played.sort_by_key(|played| played.place);
    Ok(played)
}

/// Waits until every authority has executed the last transaction and a checkpoint covers it.
async fn settle(authorities: &Authorities, commit: CommitIndex) -> Result<(), DemoError> {
    let commit = commit.get();
    let deadline = Instant::now() + SETTLE_WITHIN;
    loop {
        let standing = authorities.standing().await;
        let reached = |info: &Option<kerbholz_client::protocol::NodeInfo>| {
            info.as_ref().is_some_and(|info| info.checkpoint.get() >= commit)
        };
        if standing.iter().all(reached) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let show = |info: &Option<kerbholz_client::protocol::NodeInfo>| match info {
                Some(info) => format!("{} at {}", info.name, info.checkpoint.get()),
                None => "one does not answer".to_owned(),
            };
            let standing = standing.iter().map(show).collect::<Vec<_>>().join(", ");
            return Err(DemoError::NotSettled { commit, standing });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// File name of the receipt that is verified at the end.
pub const RECEIPT_FILE: &str = "receipt.kbr";

/// Fetches the receipt of the last delivery of the first variant, and keeps it as a file.
async fn keep_receipt(folder: &Path, stage: &Stage, played: &[Played]) -> Result<(), DemoError> {
    let Some(first) = played.first() else { return Ok(()) };
    let Some(session) = stage.any_session() else { return Ok(()) };
    let session: &Session = session;
    let receipt = session.receipt(first.delivery).await;
    let receipt = receipt.map_err(DemoError::step("the receipt of the delivery"))?;
    let path = folder.join(RECEIPT_FILE);
    std::fs::write(&path, receipt.encode()).map_err(DemoError::io(&path))
}
