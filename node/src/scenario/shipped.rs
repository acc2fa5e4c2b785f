//! The files of `docs/scenarios`, compiled in: the demo plays them wherever the program is.

/// The factor file: its name and text, for [`super::FactorFile::parse`].
pub const FACTORS: (&str, &str) =
    ("docs/scenarios/factors.toml", include_str!("../../../docs/scenarios/factors.toml"));

/// The scenario files: name and text each, for [`super::Scenario::parse`].
pub const SCENARIOS: &[(&str, &str)] = &[
    (
        "docs/scenarios/b-aircraft-spare-part.toml",
        include_str!("../../../docs/scenarios/b-aircraft-spare-part.toml"),
    ),
    (
        "docs/scenarios/a-phone-shell.toml",
        include_str!("../../../docs/scenarios/a-phone-shell.toml"),
    ),
];
