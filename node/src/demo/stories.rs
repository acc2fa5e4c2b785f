//! The scenario files that the demo plays: those built in, or those of a folder.

use super::DemoError;
use crate::factors::{DEFAULT, FactorFile};
use crate::scenario::shipped::{DEMO, SCENARIOS};
use crate::scenario::{Action, Meter, Organisation, Scenario, Variant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The factor files that a folder of scenarios may have; without one the set that is built in is used.
pub const FACTORS_FILES: [&str; 2] = ["factors.csv", "factors.toml"];

/// A scenario and the file it comes from.
#[derive(Clone, Debug)]
pub struct Story {
    /// The file's name.
    pub file: String,
    /// BLAKE3 of its text: evidence on the ledger.
    pub hash: kerbholz_ledger::id::ContentHash,
    /// What happens.
    pub scenario: Scenario,
}

/// Which variant: the story's place, then the variant's in it.
pub type Place = (usize, usize);

/// Everything that is played.
#[derive(Clone, Debug)]
pub struct Stories {
    /// The factors.
    pub factors: FactorFile,
    /// The stories, in order.
    pub stories: Vec<Story>,
    /// The currency of all prices.
    pub currency: String,
}

impl Stories {
    /// Reads the scenarios of a folder, or those built in, and keeps the variants asked for.
    ///
    /// # Errors
    /// [`DemoError::Scenario`] with file, line and reason; [`DemoError::Stories`] when a file cannot
    /// be read or the files do not go together.
    pub fn load(folder: Option<&Path>, only: &[String]) -> Result<Self, DemoError> {
        let mut stories = match folder {
            None => {
                let texts = DEMO.iter().map(|(file, text)| (*file, (*text).to_owned()));
                Self::parse(DEFAULT, texts)?
            }
            Some(folder) => Self::read(folder)?,
        };
        stories.keep(only)?;
        Ok(stories)
    }

    /// One scenario: a file, or one of those built in by its name.
    ///
    /// # Errors
    /// As [`Self::load`], and [`DemoError::Stories`] when nothing has that name.
    pub fn one(name: &str, factors: Option<&Path>, only: &[String]) -> Result<Self, DemoError> {
        let text = |path: &Path| std::fs::read_to_string(path).map_err(DemoError::io(path));
        let factors = match factors {
            None => (DEFAULT.0.to_owned(), DEFAULT.1.to_owned()),
            Some(path) => (path.display().to_string(), text(path)?),
        };
        let shipped = SCENARIOS.iter().find(|(file, _)| short(file) == name);
        let scenario = match shipped.filter(|_| !Path::new(name).exists()) {
            Some((file, text)) => ((*file).to_owned(), (*text).to_owned()),
            None if Path::new(name).exists() => (name.to_owned(), text(Path::new(name))?),
            None => {
                let names: Vec<&str> = SCENARIOS.iter().map(|(file, _)| short(file)).collect();
                let names = names.join(", ");
                return Err(DemoError::Stories(format!(
                    "{name}: no such file, and none of the built-in scenarios: {names}"
                )));
            }
        };
        let texts = std::iter::once((scenario.0.as_str(), scenario.1.clone()));
        let mut stories = Self::parse((&factors.0, &factors.1), texts)?;
        stories.keep(only)?;
        Ok(stories)
    }

    fn read(folder: &Path) -> Result<Self, DemoError> {
        let entries = std::fs::read_dir(folder).map_err(DemoError::io(folder))?;
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(DemoError::io(folder))?.path();
            let is_scenario = path.extension().is_some_and(|extension| extension == "toml")
                && !FACTORS_FILES.iter().any(|name| path.ends_with(name));
            if is_scenario {
                paths.push(path);
            }
        }
        paths.sort();
        let text = |path: &Path| std::fs::read_to_string(path).map_err(DemoError::io(path));
        let mut factors = (DEFAULT.0.to_owned(), DEFAULT.1.to_owned());
        if let Some(path) = FACTORS_FILES.map(|name| folder.join(name)).iter().find(|p| p.exists())
        {
            factors = (path.display().to_string(), text(path)?);
        }
        let mut texts = Vec::new();
        for path in &paths {
            texts.push((path.display().to_string(), text(path)?));
        }
        let named = texts.iter().map(|(file, text)| (file.as_str(), text.clone()));
        Self::parse((&factors.0, &factors.1), named)
    }

    fn parse<'a>(
        factors: (&str, &str),
        texts: impl Iterator<Item = (&'a str, String)>,
    ) -> Result<Self, DemoError> {
        let factors = FactorFile::parse(factors.0, factors.1)?;
        let mut stories = Vec::new();
        for (file, text) in texts {
            let scenario = Scenario::parse(file, &text, &factors)?;
            let hash = kerbholz_ledger::id::ContentHash::of(text.as_bytes());
            stories.push(Story { file: file.to_owned(), hash, scenario });
        }
        let currencies: BTreeSet<String> = stories
            .iter()
            .flat_map(|story| &story.scenario.variants)
            .flat_map(orders)
            .map(|order| order.currency.clone())
            .collect();
        let mut currencies = currencies.into_iter();
        match (currencies.next(), currencies.next()) {
            (Some(currency), None) => Ok(Self { factors, stories, currency }),
            (Some(one), Some(other)) => Err(DemoError::Stories(format!(
                "the demo's network has one currency, but prices are in {one} and {other}"
            ))),
            (None, _) => Err(DemoError::Stories("no scenario file with an order to play".into())),
        }
    }

    fn keep(&mut self, only: &[String]) -> Result<(), DemoError> {
        let known: Vec<String> = self.all().map(|variant| variant.id.clone()).collect();
        if let Some(unknown) = only.iter().find(|id| !known.contains(id)) {
            let known = known.join(", ");
            return Err(DemoError::Stories(format!(
                "there is no variant {unknown:?}: choose from {known}"
            )));
        }
        if !only.is_empty() {
            for story in &mut self.stories {
                story.scenario.variants.retain(|variant| only.contains(&variant.id));
            }
            self.stories.retain(|story| !story.scenario.variants.is_empty());
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = &Variant> {
        self.stories.iter().flat_map(|story| &story.scenario.variants)
    }

    /// All variants.
    pub fn variants(&self) -> Vec<Place> {
        let of = |(story, content): (usize, &Story)| {
            (0..content.scenario.variants.len()).map(move |variant| (story, variant))
        };
        self.stories.iter().enumerate().flat_map(of).collect()
    }

    /// The story and variant at a place.
    pub fn at(&self, place: Place) -> (&Story, &Variant) {
        let story = &self.stories[place.0];
        (story, &story.scenario.variants[place.1])
    }

    /// Steps of all variants.
    pub fn steps(&self) -> usize {
        self.all().map(|variant| variant.steps.len()).sum()
    }

    /// The organisations of all stories, each once.
    pub fn organisations(&self) -> impl Iterator<Item = (&str, &Organisation)> {
        let all = self.stories.iter().flat_map(|story| &story.scenario.organisations);
        let each: BTreeMap<&str, &Organisation> =
            all.map(|(name, organisation)| (name.as_str(), organisation)).collect();
        each.into_iter()
    }

    /// The machines that act in a variant, as (organisation, machine), each once.
    pub fn machines(&self) -> BTreeSet<(String, String)> {
        let mut machines = BTreeSet::new();
        for story in &self.stories {
            for (name, machine) in &story.scenario.machines {
                machines.insert((machine.organisation.clone(), name.clone()));
            }
        }
        machines
    }

    /// The meters, each once.
    pub fn meters(&self) -> BTreeSet<MeterName> {
        let mut meters = BTreeSet::new();
        for story in &self.stories {
            for (name, meter) in &story.scenario.meters {
                meters.insert(MeterName::of(&story.scenario, name, meter));
            }
        }
        meters
    }

    /// What each organisation's machines pay, in minor units.
    pub fn spending(&self) -> BTreeMap<String, u64> {
        let mut spending = BTreeMap::new();
        for story in &self.stories {
            for order in story.scenario.variants.iter().flat_map(orders) {
                if let Some(buyer) = story.scenario.machines.get(&order.buyer) {
                    let sum: &mut u64 = spending.entry(buyer.organisation.clone()).or_default();
                    *sum = sum.saturating_add(order.price.get());
                }
            }
        }
        spending
    }
}

/// The name of a scenario that is built in: its file's, without folder and ending.
pub fn short(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split_once('.').map_or(name, |(name, _)| name)
}

/// The orders of a variant.
pub fn orders(variant: &Variant) -> impl Iterator<Item = &crate::scenario::Order> {
    variant.steps.iter().filter_map(|step| match &step.action {
        Action::Order(order) => Some(order.as_ref()),
        _ => None,
    })
}

/// What tells meters apart: two files may give a meter of the same name another factor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MeterName {
    /// Its machine's organisation.
    pub organisation: String,
    /// Its machine.
    pub machine: String,
    /// Its name.
    pub name: String,
    /// The code of its factor.
    pub factor: String,
}

impl MeterName {
    /// The meter of this name in a scenario.
    pub fn of(scenario: &Scenario, name: &str, meter: &Meter) -> Self {
        let organisation = scenario.machines.get(&meter.machine);
        Self {
            organisation: organisation.map(|m| m.organisation.clone()).unwrap_or_default(),
            machine: meter.machine.clone(),
            name: name.to_owned(),
            factor: meter.factor.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_can_be_played() {
        let stories = Stories::load(None, &[]).unwrap();
        assert_eq!(stories.variants().len(), 15);
        assert_eq!(stories.organisations().count(), 4);
        assert!(stories.steps() > 100);
        assert_eq!(stories.currency, "EUR");
        // Everybody who buys can pay.
        assert!(stories.spending().values().all(|spending| *spending > 0));
    }

    #[test]
    fn only_what_is_asked_for_is_kept() {
        let stories = Stories::load(None, &["H5".into(), "FZ1".into()]).unwrap();
        let ids: Vec<&str> =
            stories.variants().into_iter().map(|place| stories.at(place).1.id.as_str()).collect();
        assert_eq!(ids, ["FZ1", "H5"]);
        let error = Stories::load(None, &["H6".into()]).unwrap_err().to_string();
        assert!(error.contains("\"H6\"") && error.contains("FZ2-min"), "{error}");
    }

    #[test]
    fn a_folder_must_have_a_scenario_and_one_currency() {
        let folder = tempfile::tempdir().unwrap();
        let load = || Stories::load(Some(folder.path()), &[]).unwrap_err().to_string();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(load().contains("no scenario file"), "{}", load());
        // Its own factors, where it has any.
        put("factors.csv", "set");
        assert!(load().contains("factors.csv:1:1: "), "{}", load());
        put("factors.csv", DEFAULT.1);
        put("b.toml", DEMO[0].1);
        put("a.toml", &DEMO[1].1.replace(" EUR\"", " CHF\""));
        assert!(load().contains("prices are in CHF and EUR"), "{}", load());
        put("a.toml", "title = 3");
        assert!(load().contains("a.toml:1:9: "), "{}", load());
    }
}
