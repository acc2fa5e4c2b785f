//! What people write in files: where something stands, and what can be wrong with it - always a file,
//! a line, a column and a reason that says what would be right.

use std::ops::Range;

/// A file that cannot be used, and a place that says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct Problem {
    /// The file, as the caller named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub reason: Reason,
}

/// Everything that is wrong with a file, in the order of the file; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(.0))]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [one] => one.clone(),
        several => format!("{} problems:\n{}", several.len(), several.join("\n")),
    }
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

/// A place in a file: a range of bytes.
pub(crate) type Span = Range<usize>;

/// A file's name and text: turns byte positions into lines and columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// The name for messages.
    pub file: &'a str,
    /// The whole text.
    pub text: &'a str,
}

impl Text<'_> {
    /// The line and column of a byte position, both counted from 1.
    pub fn place(&self, position: usize) -> (usize, usize) {
        // A position inside a character counts as its beginning.
        let mut positions = (0..=position.min(self.text.len())).rev();
        let end = positions.find(|end| self.text.is_char_boundary(*end)).unwrap_or(0);
        let before = &self.text[..end];
        let line = before.matches('\n').count();
        let begin = before.rfind('\n').map_or(0, |end| end + 1);
        (line + 1, before[begin..].chars().count() + 1)
    }

    /// A problem at a place.
    pub fn error(&self, span: &Span, reason: Reason) -> Problem {
        let (line, column) = self.place(span.start);
        Problem { file: self.file.to_owned(), line, column, reason }
    }

    /// Reads TOML into a type that knows its fields.
    pub fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        toml::from_str(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            self.error(&span, Reason::Syntax(error.message().to_owned()))
        })
    }
}
