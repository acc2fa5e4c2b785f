//! Draws a run from its seed: how many authorities, which pace, what weather, who lies, what breaks.
//!
//! A run has three parts. Until [`Plan::stable_from_ms`] anything may happen to the network; then it
//! behaves, everybody is up, and load goes on until [`Plan::busy_until_ms`]; then it is quiet until
//! one last transaction, and [`Plan::end_ms`].

use super::random::Random;
use crate::adversary::Name;
use kerbholz_client::consensus::Parameters;
use std::collections::BTreeMap;

/// What somebody who replays or searches may fix.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How many authorities.
    pub nodes: Option<usize>,
    /// The weather.
    pub weather: Option<Weather>,
    /// Who lies, and how many of them; otherwise the seed decides.
    pub liars: Option<Liars>,
    /// Whether the committee changes; otherwise the seed decides.
    pub votes: Option<bool>,
}

/// Who lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liars {
    /// Nobody.
    None,
    /// One of these.
    One(Name),
    /// As many of these as are tolerated.
    All(Name),
    /// As many as are tolerated, of any kind.
    Mixed,
}

/// How bad the network is before it becomes stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weather {
    /// It behaves from the start.
    Calm,
    /// Some loss, some crashes, a partition now and then.
    Mixed,
    /// As bad as it gets.
    Storm,
}

/// What the network and the machines do to messages and work.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// How long a message takes, least and most.
    pub delay_ms: (u64, u64),
    /// How many of a thousand messages take up to so long instead.
    pub late: (u64, u64),
    /// How many of a thousand messages are lost, and their connection with them.
    pub lost_permille: u64,
    /// How many of a thousand messages arrive twice.
    pub doubled_permille: u64,
    /// How many of a thousand frames of a stream overtake others.
    pub disordered_permille: u64,
    /// What checking a message takes at most.
    pub checking_ms: u64,
    /// What executing a commit takes at most.
    pub executing_ms: u64,
}

/// What breaks, at a given time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// Power cuts at these, until so much later.
    Crash(Vec<usize>, u64),
    /// One loses its disk, and is away so long.
    Wipe(usize, u64),
    /// Somebody copies the disk of one, which is switched off for it.
    Copy(usize),
    /// The copy is put in the place of its disk, and it is away so long.
    PutBack(usize, u64),
    /// What these send to those is lost, until so much later.
    Cut(Vec<usize>, Vec<usize>, u64),
    /// The wall clock of one jumps.
    Jump(usize, i64),
    /// One does nothing for so long.
    Freeze(usize, u64),
}

/// A change of the committee, by nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One more.
    Add(usize),
    /// One less.
    Remove(usize),
    /// Another in the place of one.
    Replace(usize, usize),
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it comes from.
    pub seed: u64,
    /// How many authorities there are at first.
    pub size: usize,
    /// How many more there are, which may join.
    pub joiners: usize,
    /// After how many rounds blocks are collected.
    pub gc_depth: u16,
    /// Their pacing and bounds.
    pub parameters: Parameters,
    /// How bad it gets.
    pub weather: Weather,
    /// Who lies, and how.
    pub liars: BTreeMap<usize, Name>,
    /// When the network begins to behave.
    pub stable_from_ms: u64,
    /// When the load ends.
    pub busy_until_ms: u64,
    /// When the last transaction is given, after a silence.
    pub wake_ms: u64,
    /// When it ends.
    pub end_ms: u64,
    /// Before it is stable.
    pub before: Conditions,
    /// From then on.
    pub after: Conditions,
    /// What breaks, and when.
    pub breakages: Vec<(u64, Breakage)>,
    /// Which votes on the committee are held, and when.
    pub votes: Vec<(u64, Change)>,
    /// The chance that an action of an authority is its last before a crash, of a million; only
    /// before the network is stable.
    pub crash_permillion: u64,
    /// By how much the wall clock of each is wrong.
    pub skew_ms: Vec<i64>,
    /// By how much the monotonic clock of each is fast, in millionths.
    pub drift_ppm: Vec<i64>,
    /// Time between two transactions of the load, least and most.
    pub load_ms: (u64, u64),
}

impl Plan {
    /// Draws a run.
    pub fn draw(seed: u64, options: &Options) -> Self {
        let mut random = Random::of(seed, "plan");
        let size = draw_size(&mut random);
        let size = options.nodes.unwrap_or(size);
        let weather = match random.between(0, 99) {
            0..=14 => Weather::Calm,
            15..=64 => Weather::Mixed,
            _ => Weather::Storm,
        };
        let weather = options.weather.unwrap_or(weather);
        let parameters = draw_parameters(size, &mut random);
        let delta_ms = parameters.delta_ms;
        // So many rounds of a busy network, roughly: a large one costs more.
        let rounds = if size > 12 { 40 } else { random.between(60, 100) };
        let stable_from_ms = match weather {
            Weather::Calm => 0,
            _ => rounds * delta_ms * 3 / 4,
        };
        let quiet_ms = 20 * delta_ms + random.between(0, 15_000);
        let liars = draw_liars(size, options.liars, &mut random);
        // Judging begins the later the more have to be found out, and lasts as long for all.
        let finding_ms = finding_out_ms(&liars, delta_ms);
        let busy_until_ms = stable_from_ms + rounds * delta_ms * 3 / 4 + finding_ms;
        let wake_ms = busy_until_ms + quiet_ms;
        // The more there may be who lie, the more rounds in a row they may lead.
        let end_ms = wake_ms + (30 + 2 * (size as u64 / 3)) * delta_ms;
        let mut breakages = draw_breakages(weather, size, stable_from_ms, &mut random);
        breakages.extend(draw_losses(seed, &liars, stable_from_ms, &mut random));
        let (joiners, votes) = draw_votes(options, size, busy_until_ms, &mut random);
        let all = size + joiners;
        // Who follows certified commits looks for newer ones once a heartbeat.
        let following_ms = if votes.is_empty() { 0 } else { 2 * parameters.heartbeat_ms };
        let end_ms = end_ms + following_ms;
        let wrong = |random: &mut Random, most: u64| {
            random.between(0, 2 * most) as i64 - i64::try_from(most).unwrap_or_default()
        };
        Self {
            seed,
            size,
            weather,
            liars,
            stable_from_ms,
            busy_until_ms,
            wake_ms,
            end_ms,
            before: Conditions::before(weather, delta_ms, size, &mut random),
            after: Conditions::after(delta_ms),
            breakages,
            crash_permillion: match weather {
                Weather::Calm => 0,
                Weather::Mixed => 200,
                Weather::Storm => 2_000,
            },
            skew_ms: (0..all).map(|_| wrong(&mut random, 2_000)).collect(),
            drift_ppm: (0..all).map(|_| wrong(&mut random, 5_000)).collect(),
            joiners,
            votes,
            gc_depth: random.between(8, 30) as u16,
            load_ms: (delta_ms, 2 * delta_ms),
            parameters,
        }
    }

    /// f: how many may be faulty.
    pub fn faulty_max(&self) -> usize {
        (self.size - 1) / 3
    }

    /// How long after the network became stable every honest leader commits directly: until then
    /// those who lag may still catch up, and those who lie are found out.
    pub fn settling_ms(&self) -> u64 {
        20 * self.parameters.delta_ms + finding_out_ms(&self.liars, self.parameters.delta_ms)
    }

    /// Whether the network behaves.
    pub fn is_stable(&self, now_ms: u64) -> bool {
        now_ms >= self.stable_from_ms
    }

    /// The conditions at a time.
    pub fn conditions(&self, now_ms: u64) -> &Conditions {
        if self.is_stable(now_ms) { &self.after } else { &self.before }
    }
}

impl Conditions {
    fn before(weather: Weather, delta_ms: u64, size: usize, random: &mut Random) -> Self {
        let calm = Self::after(delta_ms);
        // A machine that cannot check as fast as others speak falls behind for good.
        let checking_max_ms = (300 / size as u64).min(30);
        match weather {
            Weather::Calm => calm,
            Weather::Mixed => Self {
                delay_ms: (1, delta_ms),
                late: (20, 4 * delta_ms),
                lost_permille: *random.pick(&[0, 0, 1, 2]),
                doubled_permille: 10,
                checking_ms: random.between(0, checking_max_ms / 3),
                executing_ms: random.between(1, delta_ms),
                ..calm
            },
            Weather::Storm => Self {
                delay_ms: (1, random.between(delta_ms, 3 * delta_ms)),
                late: (random.between(0, 100), 15 * delta_ms),
                lost_permille: random.between(0, 20),
                doubled_permille: 50,
                disordered_permille: *random.pick(&[0, 0, 20, 200]),
                checking_ms: random.between(0, checking_max_ms),
                executing_ms: random.between(1, 6 * delta_ms),
            },
        }
    }

    /// What the protocol assumes of a network that behaves: everything within Δ.
    fn after(delta_ms: u64) -> Self {
        Self {
            delay_ms: (1, delta_ms * 3 / 5),
            late: (0, 0),
            lost_permille: 0,
            doubled_permille: 0,
            disordered_permille: 0,
            checking_ms: 2,
            executing_ms: delta_ms / 4,
        }
    }
}

/// How long it takes until all who lie have been found out: each may cost a leader one question
/// asked in vain, which is a message and its answer.
fn finding_out_ms(liars: &BTreeMap<usize, Name>, delta_ms: u64) -> u64 {
    2 * delta_ms * liars.len() as u64
}

/// A large committee costs as much as a hundred small ones.
fn draw_size(random: &mut Random) -> usize {
    match random.between(0, 999) {
        0..=59 => random.between(1, 3) as usize,
        60..=449 => 4,
        450..=749 => random.between(5, 7) as usize,
        750..=989 => random.between(8, 10) as usize,
        990..=996 => random.between(13, 25) as usize,
        _ => random.between(26, 50) as usize,
    }
}

fn draw_parameters(size: usize, random: &mut Random) -> Parameters {
    let delta_ms = if size > 12 { 1_000 } else { random.between(200, 600) };
    Parameters {
        delta_ms,
        round_delay_min_ms: random.between(delta_ms / 10, delta_ms / 2),
        idle_step_ms: 2 * delta_ms,
        heartbeat_ms: random.between(5_000, 15_000),
        fetch_delay_ms: delta_ms / 2,
        suspended_blocks_max: random.between(60, 300) as usize,
        suspended_bytes_max: 4 << 20,
        rounds_ahead_max: 500,
        queue_items_max: 1_000,
        queue_bytes_max: 1 << 20,
        ..Parameters::wan()
    }
}

fn draw_liars(size: usize, wanted: Option<Liars>, random: &mut Random) -> BTreeMap<usize, Name> {
    let most = (size - 1) / 3;
    let drawn = match random.between(0, 9) {
        0..=2 => Liars::None,
        3..=5 => Liars::One(*random.pick(Name::ALL)),
        6 => Liars::All(*random.pick(Name::ALL)),
        _ => Liars::Mixed,
    };
    let names: Vec<Name> = match wanted.unwrap_or(drawn) {
        Liars::None => Vec::new(),
        Liars::One(name) => vec![name; most.min(1)],
        Liars::All(name) => vec![name; most],
        Liars::Mixed => (0..most).map(|_| *random.pick(Name::ALL)).collect(),
    };
    let mut nodes: Vec<usize> = (0..size).collect();
    random.shuffle(&mut nodes);
    nodes.into_iter().zip(names).collect()
}

fn draw_breakages(
    weather: Weather,
    size: usize,
    until_ms: u64,
    random: &mut Random,
) -> Vec<(u64, Breakage)> {
    let count = match weather {
        Weather::Calm => 0,
        Weather::Mixed => random.between(0, 4),
        Weather::Storm => random.between(3, 12),
    };
    let mut breakages = Vec::new();
    for _ in 0..count {
        let at_ms = random.between(0, until_ms);
        let lasting_ms = random.between(1, until_ms / 2);
        let one = random.below(size);
        let breakage = match random.between(0, 9) {
            0..=2 => Breakage::Crash(vec![one], lasting_ms),
            3 => Breakage::Crash(some(size, random), random.between(1, 5_000)),
            4 => Breakage::Crash((0..size).collect(), random.between(1, 3_000)),
            5 => {
                let (one, other) = halves(size, random);
                Breakage::Cut(one, other, lasting_ms)
            }
            6 => Breakage::Cut(some(size, random), some(size, random), lasting_ms),
            7 => Breakage::Cut(vec![one], (0..size).collect(), lasting_ms),
            8 => Breakage::Freeze(one, random.between(1, until_ms / 4)),
            _ => Breakage::Jump(one, random.between(0, 1_200_000) as i64 - 600_000),
        };
        if let Breakage::Cut(one, other, lasting_ms) = &breakage
            && random.permille(500)
        {
            // Both ways.
            breakages.push((at_ms, Breakage::Cut(other.clone(), one.clone(), *lasting_ms)));
        }
        breakages.push((at_ms, breakage));
    }
    breakages.sort_by_key(|(at_ms, _)| *at_ms);
    breakages
}

/// What becomes of the disks of amnesiacs: they are wiped, or old copies of them are put back.
fn draw_losses(
    seed: u64,
    liars: &BTreeMap<usize, Name>,
    until_ms: u64,
    random: &mut Random,
) -> Vec<(u64, Breakage)> {
    let mut copies = Random::of(seed, "copies");
    let mut losses = Vec::new();
    for node in liars.iter().filter(|it| *it.1 == Name::Amnesiac).map(|it| *it.0) {
        let at_ms = random.between(0, until_ms);
        let down_ms = random.between(1, 4_000);
        if copies.permille(500) {
            losses.push((copies.between(0, at_ms), Breakage::Copy(node)));
            losses.push((at_ms, Breakage::PutBack(node, down_ms)));
        } else {
            losses.push((at_ms, Breakage::Wipe(node, down_ms)));
        }
    }
    losses
}

/// How many may join, and which votes are held.
fn draw_votes(
    options: &Options,
    size: usize,
    until_ms: u64,
    random: &mut Random,
) -> (usize, Vec<(u64, Change)>) {
    let drawn = random.permille(300);
    if !options.votes.unwrap_or(drawn) || size > 12 {
        return (0, Vec::new());
    }
    let joiners = random.between(1, 2) as usize;
    let mut votes = Vec::new();
    for _ in 0..random.between(1, 4) {
        let (old, new) = (random.below(size + joiners), size + random.below(joiners));
        let change = match random.between(0, 2) {
            0 => Change::Add(new),
            1 => Change::Remove(old),
            _ => Change::Replace(old, new),
        };
        votes.push((random.between(2_000, until_ms), change));
    }
    votes.sort_by_key(|(at_ms, _)| *at_ms);
    (joiners, votes)
}

fn halves(size: usize, random: &mut Random) -> (Vec<usize>, Vec<usize>) {
    (0..size).partition(|_| random.permille(500))
}

fn some(size: usize, random: &mut Random) -> Vec<usize> {
    (0..size).filter(|_| random.permille(500)).collect()
}
