//! One authority is killed when half of the steps are done, and brought back when the others have
//! gone on without it: by progress, not by a timer.

use super::DemoError;
use super::authorities::{Authorities, ask};
use super::player::Stage;
use super::screen::Screen;
use super::timing::{Phase, Timing};
use kerbholz_client::Session;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Which authority is killed, by its place in the genesis.
pub const KILLED: usize = 2;
/// The authority that is asked meanwhile.
const WITNESS: usize = 0;
/// How long the killed authority may take to catch up.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// What the killing of an authority showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interruption {
    /// The authority that was killed.
    pub authority: String,
    /// After how many steps.
    pub killed_after_steps: usize,
    /// Its process before.
    pub process_before: u32,
    /// Its process after.
    pub process_after: u32,
    /// The commit that another authority had reached when it was killed.
    pub commit_at_kill: u64,
    /// The commit that the other had reached when it was started again.
    pub commit_at_return: u64,
    /// Commits that the others made without it.
    pub commits_without: u64,
    /// Steps that the machines took without it.
    pub steps_without: usize,
    /// How long it was away, in milliseconds.
    pub away_ms: u64,
    /// How long it took, from its start, to catch up with the others, in milliseconds.
    pub caught_up_ms: u64,
}

/// Kills and brings back.
///
/// # Errors
/// [`DemoError`] when the authority does not come back or does not catch up.
pub async fn interrupt(
    authorities: &Authorities,
    stage: &Stage,
    total: usize,
    timing: &Timing,
    screen: &Screen,
) -> Result<Interruption, DemoError> {
    let mut steps = stage.steps();
    let half = total / 2;
    wait(&mut steps, half).await;
    let killed_after_steps = (*steps.borrow()).min(total);
    let authority = authorities.name(KILLED).await;
    let commit_at_kill = commit(authorities, WITNESS).await;
    timing.enter(Phase::OneDown);
    let process_before = authorities.kill(KILLED).await?;
    let away = Instant::now();
    screen
        .note(&format!("✂ {authority} (process {process_before}) was killed; the machines go on"));

    wait(&mut steps, half + (total / 6).max(2)).await;
    let steps_without = (*steps.borrow()).min(total) - killed_after_steps;
    let commit_at_return = commit(authorities, WITNESS).await;
    let away_ms = millis(away.elapsed());
    let back = Instant::now();
    let (process_after, session) = authorities.bring_back(KILLED).await?;
    let commits_without = commit_at_return.saturating_sub(commit_at_kill);
    screen.note(&format!(
        "↺ {authority} is back as process {process_after}: {commits_without} commits to catch up"
    ));
    catch_up(authorities, &session, &authority).await?;
    timing.enter(Phase::All);
    let caught_up_ms = millis(back.elapsed());
    screen.note(&format!("✓ {authority} caught up after {:.1} s", back.elapsed().as_secs_f64()));
    Ok(Interruption {
        authority,
        killed_after_steps,
        process_before,
        process_after,
        commit_at_kill,
        commit_at_return,
        commits_without,
        steps_without,
        away_ms,
        caught_up_ms,
    })
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

async fn wait(steps: &mut tokio::sync::watch::Receiver<usize>, until: usize) {
    // The sender lives as long as the stage, which the caller holds.
    let _ = steps.wait_for(|steps| *steps >= until).await;
}

async fn commit(authorities: &Authorities, index: usize) -> u64 {
    authorities.info(index).await.map_or(0, |info| info.commit.get())
}

/// Waits until the authority has what another one had when the waiting began.
async fn catch_up(
    authorities: &Authorities,
    session: &Session,
    authority: &str,
) -> Result<(), DemoError> {
    let begin = Instant::now();
    let goal = commit(authorities, WITNESS).await;
    loop {
        let info = ask(session, KILLED, Duration::from_secs(1)).await;
        let reached = info.map_or(0, |info| info.commit.get());
        if reached >= goal {
            return Ok(());
        }
        if begin.elapsed() > CATCH_UP_WITHIN {
            let standing = format!("{authority} is at {reached}");
            return Err(DemoError::NotSettled { commit: goal, standing });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
