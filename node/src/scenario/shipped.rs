//! The files of `docs/scenarios`, compiled in: they can be played wherever the program is.

/// Names and reads a file of `docs/scenarios`.
macro_rules! file {
    ($name:literal) => {
        (
            concat!("docs/scenarios/", $name),
            include_str!(concat!("../../../docs/scenarios/", $name)),
        )
    };
}

const AIRCRAFT_SPARE_PART: (&str, &str) = file!("b-aircraft-spare-part.toml");
const PHONE_SHELL: (&str, &str) = file!("a-phone-shell.toml");

/// What the demo plays: name and text each, for [`super::Scenario::parse`].
pub const DEMO: &[(&str, &str)] = &[AIRCRAFT_SPARE_PART, PHONE_SHELL];

/// All of them, by name.
pub const SCENARIOS: &[(&str, &str)] = &[
    PHONE_SHELL,
    AIRCRAFT_SPARE_PART,
    file!("c1-order-chain.toml"),
    file!("c2-delivery.toml"),
    file!("c3-support-services.toml"),
    file!("c4-failing-print.toml"),
    file!("c5-makerspace.toml"),
];
