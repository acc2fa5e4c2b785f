//! A small factor file and a small scenario for the tests of this module.

use super::Scenario;
use crate::factors::FactorFile;
use crate::written::Problem;

pub(crate) const FACTORS: &str = r#"name = "small"
version = 1
[sources.table]
cite = "Table 2025"
licence = "CC0"
seen = "read"
[[factors]]
code = "power"
per = "1 kWh"
impacts = { energy = "1 kWh", climate = "0.5 kg CO2e", abiotic_depletion = "8.5e-8 kg Sb-eq" }
quality = { technology = 1, geography = 2, time = 3 }
gwp = "ar6"
region = "DE"
valid_from = 2024-01-01
valid_until = 2031-01-01
source = "table"
standing = "verified"
[[factors]]
code = "powder"
per = "1 kg"
impacts = { climate = "7 kg CO2e" }
zero = ["waste"]
quality = { technology = 1, geography = 2, time = 3 }
gwp = "ar5"
region = "EU"
valid_from = 2024-01-01
valid_until = 2031-01-01
source = "table"
standing = "proxy"
[[factors]]
code = "lorry"
per = "1 tkm"
impacts = { climate = "0.1 kg CO2e" }
quality = { technology = 1, geography = 2, time = 3 }
gwp = "ar5"
region = "EU"
valid_from = 2024-01-01
valid_until = 2031-01-01
source = "table"
standing = "verified"
"#;

/// Powder 1 kg (7 kg CO2e) is carried 1,000 km (0.1 kg) and printed with 2 kWh (1 kg) into 0.8 kg;
/// `large` does the same with twice as much and avoids 5 kWh (2.5 kg).
pub(crate) const SCENARIO: &str = r#"title = "Small"
question = "?"
functional_unit = "one part"
study = "paper"
[sources.paper]
cite = "Paper 2014"
seen = "read"
[figures]
powder = { value = "1 kg", source = "paper", standing = "given" }
part = { value = "0.8 kg", source = "paper", standing = "given" }
one = { value = "1 piece", source = "paper", standing = "given" }
way = { value = "1000 km", source = "paper", standing = "quoted" }
print_energy = { value = "2.5 kWh/kg", source = "paper", standing = "verified" }
saved = { value = "5 kWh", source = "paper", standing = "unverified" }
[organisations.maker]
title = "Maker"
role = "makes"
[organisations.user]
title = "User"
role = "uses"
[machines]
store = { organisation = "maker", place = "here", does = "sells powder" }
lorry = { organisation = "maker", place = "roads", does = "carries" }
printer = { organisation = "maker", place = "there", does = "prints" }
press = { organisation = "user", place = "there", does = "needs parts" }
[meters]
meter = { machine = "printer", factor = "power" }
[[variants]]
id = "small"
title = "small"
product = "part"
[[variants.steps]]
declare = "powder"
machine = "store"
factor = "powder"
quantity = "powder"
stage = "material"
[[variants.steps]]
order = "haul"
parent = "supply"
buyer = "store"
provider = "lorry"
service = "haulage"
stage = "transport"
component = "road"
inputs = ["powder"]
activities = [{ name = "transport", factor = "lorry", amount = "powder * way" }]
outputs = [{ lot = "powder there", product = "powder", quantity = "powder" }]
price = "0.50 EUR"
[[variants.steps]]
order = "supply"
parent = "print"
buyer = "printer"
provider = "store"
service = "supply"
inputs = ["powder there"]
outputs = [{ lot = "powder in", product = "powder", quantity = "powder" }]
price = "20.00 EUR"
[[variants.steps]]
read = "electricity"
meter = "meter"
quantity = "part * print_energy"
stage = "processing"
[[variants.steps]]
order = "print"
buyer = "press"
provider = "printer"
service = "printing"
stage = "processing"
inputs = ["powder in", "electricity"]
outputs = [
  { lot = "part", quantity = "one", mass = "part" },
  { lot = "spent", quantity = "rest", role = "waste" },
]
price = "99.99 EUR"
predicted = "8 kg CO2e"
mass_tolerance = "0.1 %"
[[variants.steps]]
sink = "spent"
kind = "disposed"
[[variants]]
id = "large"
title = "large"
product = "part"
like = "small"
avoided = { what = "power", factor = "power", amount = "saved" }
[variants.figures]
powder = { value = "2 kg", source = "paper", standing = "given" }
part = { value = "1.6 kg", source = "paper", standing = "given" }
[[expectations]]
id = "E1"
says = "material dominates"
check = "share"
variants = ["small", "large"]
part = [{ stage = "material" }]
at_least = "50 %"
"#;

pub(crate) fn factors() -> FactorFile {
    FactorFile::parse("factors.toml", FACTORS).unwrap()
}

pub(crate) fn parse(text: &str) -> Result<Scenario, Problem> {
    Scenario::parse("small.toml", text, &factors())
}

/// The fixture with something exchanged.
pub(crate) fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the fixture has no {from}");
    text.replacen(from, to, 1)
}

/// The line on which something stands, counted from 1.
pub(crate) fn line_of(text: &str, needle: &str) -> usize {
    let found = text.lines().position(|line| line.contains(needle));
    1 + found.unwrap_or_else(|| panic!("nothing has {needle}"))
}
