//! What can be wrong with a scenario or factor file, and where: always a file, a line, a reason.

use std::ops::Range;

/// A file that cannot be played, and the first place that says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct ScenarioError {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub reason: Reason,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Not TOML, an unknown field, a missing one, or a value of another type.
    #[error("{0}")]
    Syntax(String),
    /// A name that nothing in the file (or the factor set) has.
    #[error("unknown {kind} `{name}`{hint}")]
    Unknown {
        /// What should have that name.
        kind: &'static str,
        /// The name.
        name: String,
        /// Names that exist, for the reader; may be empty.
        hint: String,
    },
    /// A name used twice where it must be unique.
    #[error("{kind} `{name}` exists already: choose another name")]
    Duplicate {
        /// What has that name.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A figure without a source.
    #[error("`{0}` has no citation: write it under [figures], with a `source`")]
    MissingCitation(String),
    /// Text that is no amount.
    #[error("`{text}` is not an amount: {why}")]
    Amount {
        /// The text.
        text: String,
        /// Why not.
        why: String,
    },
    /// An amount of another kind than the place asks for.
    #[error("`{text}` is in {found}, but {wanted} is needed here")]
    Unit {
        /// The text.
        text: String,
        /// The unit it has.
        found: String,
        /// The unit it should have.
        wanted: String,
    },
    /// An amount that is no whole number of base units.
    #[error("`{text}` is not a whole number of {unit}: round it where it is written down")]
    NotWhole {
        /// The text.
        text: String,
        /// The base unit.
        unit: &'static str,
    },
    /// Mass in and mass out differ by more than the order allows.
    #[error(
        "mass does not balance: {mass_in} mg in, {mass_out} mg out, tolerance {tolerance_ppm} ppm"
    )]
    Mass {
        /// Mass of the inputs.
        mass_in: u64,
        /// Mass of the outputs.
        mass_out: u64,
        /// The tolerance in millionths of the mass in.
        tolerance_ppm: u32,
    },
    /// Any other rule of the format.
    #[error("{0}")]
    Rule(String),
}

/// A place in a file.
pub(super) type Span = Range<usize>;

/// A file's name and text: turns byte positions into lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// The name for messages.
    pub file: &'a str,
    /// The whole text.
    pub text: &'a str,
}

impl Text<'_> {
    /// The line of a byte position, counted from 1.
    pub fn line(&self, position: usize) -> usize {
        let before = self.text.as_bytes().iter().take(position);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    /// An error at a place.
    pub fn error(&self, span: &Span, reason: Reason) -> ScenarioError {
        ScenarioError { file: self.file.to_owned(), line: self.line(span.start), reason }
    }

    /// Reads TOML into a type that knows its fields.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, ScenarioError> {
        toml::from_str(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            self.error(&span, Reason::Syntax(error.message().to_owned()))
        })
    }
}
