//! `kerbholz scenario`: scenario files, checked, computed, and played on a network that runs.

use super::context::Context;
use super::demo::terminal;
use super::error::CliError;
use super::output::{Output, Report, table};
use clap::{Args, Subcommand};
use kerbholz_node::demo;
use kerbholz_node::demo::findings::{self, ScenarioFinding};
use kerbholz_node::demo::join::Place;
use kerbholz_node::demo::screen::Screen;
use kerbholz_node::demo::show;
use kerbholz_node::demo::stories::{Stories, orders, short};
use kerbholz_node::factors::{DEFAULT, FactorFile};
use kerbholz_node::scenario::shipped::SCENARIOS;
use kerbholz_node::scenario::{Judgement, Scenario};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What can be done with scenarios.
#[derive(Subcommand)]
pub enum ScenarioCommand {
    /// List the scenarios that are built in, e.g. `kerbholz scenario list --json`
    List,
    /// Check a scenario file without a network: what is wrong, with line and column, e.g.
    /// `kerbholz scenario check mine.toml`
    Check(Which),
    /// Compute a scenario from its file alone, e.g. `kerbholz scenario compute a-phone-shell`
    Compute(Which),
    /// Play a scenario on a running network, e.g. `kerbholz scenario run c1-order-chain`
    Run {
        #[command(flatten)]
        which: Which,
        /// Play only these variants
        #[arg(long, value_name = "VARIANT", num_args = 1..)]
        only: Vec<String>,
        /// An organisation of the network that plays one of the scenario's
        #[arg(long, value_name = "NAME=ORGANISATION", value_parser = player)]
        cast: Vec<(String, String)>,
    },
}

/// Which scenario.
#[derive(Args)]
pub struct Which {
    /// A file like docs/scenarios/c1-order-chain.toml, or the name of one that is built in
    #[arg(value_name = "FILE")]
    scenario: String,
    /// The factor set that it uses, CSV or TOML; the one that is built in if left out
    #[arg(long, value_name = "FILE")]
    factors: Option<PathBuf>,
}

impl Which {
    fn read(&self, only: &[String]) -> Result<Stories, CliError> {
        Stories::one(&self.scenario, self.factors.as_deref(), only).map_err(failed)
    }
}

fn player(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, by)| (name.to_owned(), by.to_owned()));
    pair.ok_or_else(|| format!("{text:?}: write for example formwerk=printworks"))
}

fn failed(error: demo::DemoError) -> CliError {
    demo::Failure { error: Box::new(error), data: None }.into()
}

/// Does it.
pub async fn run(
    context: &Context,
    command: ScenarioCommand,
    output: &Output,
) -> Result<Report, CliError> {
    match command {
        ScenarioCommand::List => list(),
        ScenarioCommand::Check(which) => check(&which),
        ScenarioCommand::Compute(which) => {
            let stories = which.read(&[])?;
            let of = |story| findings::computed(story, &stories.factors).map_err(failed);
            let found: Vec<_> = stories.stories.iter().map(of).collect::<Result<_, _>>()?;
            present(&found)
        }
        ScenarioCommand::Run { which, only, cast } => {
            let stories = Arc::new(which.read(&only)?);
            let place = Place {
                folder: context.dir().to_owned(),
                network: context.network()?,
                plays: cast.into_iter().collect::<BTreeMap<_, _>>(),
                seen: context.seen(),
            };
            let screen = if output.is_json() { Screen::silent() } else { Screen::stderr() };
            let (found, seen) = demo::perform_on(&place, stories, &screen).await.map_err(failed)?;
            context.keep_seen_commit(seen);
            if found.iter().any(|scenario| scenario.as_computed == Some(false)) {
                output.print(&present(&found)?)?;
                let reason = "the ledger booked something else than the file computes: the network's \
                              factor set of that name and version is another one";
                return Err(CliError::Other(reason.into()));
            }
            present(&found)
        }
    }
}

fn list() -> Result<Report, CliError> {
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1)?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for (file, text) in SCENARIOS {
        let scenario = Scenario::parse(file, text, &factors)?;
        let variants: Vec<&str> = scenario.variants.iter().map(|one| one.id.as_str()).collect();
        let count: usize = scenario.variants.iter().map(|variant| orders(variant).count()).sum();
        rows.push(vec![
            short(file).to_owned(),
            scenario.title.clone(),
            variants.join(" "),
            count.to_string(),
            scenario.expectations.len().to_string(),
        ]);
        documents.push(json!({
            "name": short(file), "file": file, "title": scenario.title,
            "question": scenario.question, "variants": variants, "orders": count,
            "expectations": scenario.expectations.len(),
        }));
    }
    let header = ["name", "title", "variants", "orders", "expectations"];
    Ok(Report::new(table(&header, rows, &[3, 4]), json!({ "scenarios": documents })))
}

fn check(which: &Which) -> Result<Report, CliError> {
    let stories = which.read(&[])?;
    let story = stories.stories.first();
    let count = |of: fn(&Scenario) -> usize| story.map_or(0, |story| of(&story.scenario));
    let variants = count(|scenario| scenario.variants.len());
    let expectations = count(|scenario| scenario.expectations.len());
    let steps = stories.steps();
    let text = format!(
        "In order: {variants} variants, {steps} steps, {expectations} expectations. It has not been \
         played: `kerbholz scenario run {}` does, on a network",
        which.scenario
    );
    let json = json!({ "variants": variants, "steps": steps, "expectations": expectations });
    Ok(Report::new(text, json))
}

fn present(found: &[ScenarioFinding]) -> Result<Report, CliError> {
    let verdicts = || found.iter().flat_map(|scenario| &scenario.expectations);
    let count = |judgement| verdicts().filter(|verdict| verdict.outcome == judgement).count();
    let [holds, not, unjudged] =
        [Judgement::Holds, Judgement::DoesNotHold, Judgement::CannotBeJudged].map(count);
    let mut text = show::scenarios(found, terminal());
    text.push_str(&format!(
        "\n  Of {} expectations {holds} hold; not: {not}; cannot be judged: {unjudged}.",
        verdicts().count()
    ));
    let json = serde_json::to_value(found)
        .map_err(|error| CliError::Other(format!("the findings cannot be written: {error}")))?;
    Ok(Report::new(text, json!({ "scenarios": json })))
}
