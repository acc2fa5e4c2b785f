//! `kerbholz demo` as a newcomer runs it: the real binary, four real processes, one real kill.
#![expect(clippy::unwrap_used, reason = "a test ends where something is missing")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The binary: `KERBHOLZ_BIN`, or the one beside this test in the target folder.
fn kerbholz() -> PathBuf {
    if let Some(path) = std::env::var_os("KERBHOLZ_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path = folder.join("kerbholz");
    assert!(path.exists(), "{}: build it first: cargo build -p kerbholz-node", path.display());
    path
}

fn run(arguments: &[&str]) -> Output {
    Command::new(kerbholz()).args(arguments).env_remove("KERBHOLZ_DIR").output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Whether a process of this id still runs the program.
fn runs(process: &Value) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    comm.trim() == "kerbholz"
}

#[test]
fn the_demo_shows_the_main_job_and_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let (json, page, data) =
        (folder.path().join("d.json"), folder.path().join("d.html"), folder.path().join("data"));
    let output =
        run(&["demo", "--json", text(&json), "--report", text(&page), "--data", text(&data)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let shown = String::from_utf8_lossy(&output.stdout);
    for part in ["FZ1", "H5-recycled", "holds", "trial balance", "order tree", "What was proved"] {
        assert!(shown.contains(part), "{part} is not shown:\n{shown}");
    }
    let found: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    scenarios(&found);
    books(&found);
    network(&found);
    page_is_whole(&std::fs::read_to_string(&page).unwrap());
    exported(&data, folder.path());
    audited_again(&data, found["replay"]["log_root"].as_str().unwrap());
}

/// Every variant has its footprint, every expectation its verdict.
fn scenarios(found: &Value) {
    let scenarios = found["scenarios"].as_array().unwrap();
    assert_eq!(scenarios.len(), 2);
    let dimensions = found["dimensions"].as_array().unwrap();
    let climate = dimensions.iter().position(|dimension| dimension["name"] == "climate").unwrap();
    for scenario in scenarios {
        for variant in scenario["variants"].as_array().unwrap() {
            let id = &variant["id"];
            assert!(variant["footprint"][climate].as_i64().unwrap() > 0, "{id}");
            assert_eq!(variant["footprint"].as_array().unwrap().len(), dimensions.len());
            let shares = variant["tiers"].as_array().unwrap();
            let sum: f64 = shares.iter().map(|share| share.as_f64().unwrap()).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{id}: {shares:?}");
            let parts = variant["parts"].as_array().unwrap();
            let parts: i64 = parts.iter().map(|p| p["footprint"][climate].as_i64().unwrap()).sum();
            assert_eq!(parts, variant["footprint"][climate].as_i64().unwrap(), "{id}");
            assert!(!variant["tree"]["from"].as_array().unwrap().is_empty(), "{id}");
            flows_end_in_the_part(variant, climate);
        }
        for verdict in scenario["expectations"].as_array().unwrap() {
            let outcome = verdict["outcome"].as_str().unwrap();
            assert!(["holds", "does_not_hold", "cannot_be_judged"].contains(&outcome));
            assert!(!verdict["because"].as_str().unwrap().is_empty());
        }
    }
    let counted: Vec<usize> =
        scenarios.iter().map(|s| s["expectations"].as_array().unwrap().len()).collect();
    assert_eq!(counted, [9, 10]);
}

/// What flows into the delivered part is its footprint.
fn flows_end_in_the_part(variant: &Value, climate: usize) {
    let flows = &variant["flows"];
    let nodes = flows["nodes"].as_array().unwrap();
    let part = nodes.iter().position(|node| node["kind"] == "product").unwrap();
    let links = flows["links"].as_array().unwrap();
    let into = links.iter().filter(|link| link["target"].as_u64() == Some(part as u64));
    let sum: i64 = into.map(|link| link["values"][climate].as_i64().unwrap()).sum();
    assert_eq!(sum, variant["product"][climate].as_i64().unwrap(), "{}", variant["id"]);
}

fn books(found: &Value) {
    assert_eq!(found["ok"], true);
    for line in found["balance"].as_array().unwrap() {
        assert_eq!(line["difference"], 0, "{line}");
    }
    let replay = &found["replay"];
    assert_eq!(replay["rejected"], 0);
    assert!(replay["checkpoint"].as_u64().unwrap() > 0);
    assert!(replay["transactions"].as_u64().unwrap() > 300, "{replay}");
    assert!(found["receipt"]["signatures"].as_u64().unwrap() >= 3);
    assert_eq!(found["ledgers"].as_array().unwrap().len(), 4);
}

/// The kill really happened, and the others went on meanwhile.
fn network(found: &Value) {
    let interruption = &found["interruption"];
    assert_ne!(interruption["process_before"], interruption["process_after"]);
    assert!(interruption["commits_without"].as_u64().unwrap() > 0, "{interruption}");
    assert!(interruption["steps_without"].as_u64().unwrap() > 0, "{interruption}");
    for phase in ["finality_all", "finality_one_down"] {
        let finality = &found["network"][phase];
        assert!(finality["transactions"].as_u64().unwrap() > 0, "{phase}");
        let (p50, p99) = (&finality["p50_ms"], &finality["p99_ms"]);
        assert!(0.0 < p50.as_f64().unwrap() && p50.as_f64() <= p99.as_f64(), "{finality}");
    }
    // Every transaction on the ledger was measured by the client that submitted it.
    let measured = |phase: &str| found["network"][phase]["transactions"].as_u64().unwrap();
    let all = measured("finality_all") + measured("finality_one_down");
    assert_eq!(all, found["replay"]["transactions"].as_u64().unwrap());
    for authority in found["network"]["authorities"].as_array().unwrap() {
        let resident = authority["resident_max_bytes"].as_u64().unwrap();
        assert!(0 < resident && resident < 150 << 20, "{authority}");
        for figure in ["cpu_ms", "bytes_sent", "bytes_received", "round"] {
            assert!(authority[figure].as_u64().unwrap() > 0, "{figure}: {authority}");
        }
        let processes = authority["processes"].as_array().unwrap();
        let expected = if authority["name"] == found["interruption"]["authority"] { 2 } else { 1 };
        assert_eq!(processes.len(), expected, "{authority}");
        assert!(!processes.iter().any(runs), "{authority} still runs");
    }
}

/// One file: what the page is made of is in it, and it names no other.
fn page_is_whole(page: &str) {
    let begin = page.find("id=\"findings\">").unwrap() + "id=\"findings\">".len();
    let end = begin + page[begin..].find("</script>").unwrap();
    let findings: Value = serde_json::from_str(&page[begin..end]).unwrap();
    assert!(findings["scenarios"].is_array());
    assert!(!page.contains("<link") && !page.contains("<script src"));
}

/// Other programs get tables, a product footprint with a receipt that verifies, and events.
fn exported(data: &Path, folder: &Path) {
    let (genesis, ledger) =
        (data.join("genesis.json"), data.join("authorities/authority-1/data/ledger"));
    let export = |what: &str, out: &Path, rest: &[&str]| {
        let command = ["--json", "export", what, text(&ledger), "--genesis", text(&genesis)];
        let output = run(&[&command[..], &["--out", text(out)], rest].concat());
        assert!(output.status.success(), "{what}: {}", stderr(&output));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        said
    };
    let (csv, parquet) = (folder.join("csv"), folder.join("parquet"));
    let rows = export("csv", &csv, &[])["rows"].clone();
    assert_eq!(rows, export("parquet", &parquet, &[])["rows"]);
    let lots = std::fs::read_to_string(csv.join("lots.csv")).unwrap();
    assert_eq!(lots.lines().count() as u64, rows["lots"].as_u64().unwrap() + 1);
    assert!(parquet.join("factors/part-0.parquet").exists());

    let read = |path: &Path| -> Value {
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let document = folder.join("part.json");
    let lot = ["--lot", "spare part", "--standard", "ISO14067"];
    assert_eq!(export("pact", &document, &lot)["receipt"], true);
    let lot = read(&document)["extensions"][0]["data"]["lot"].clone();
    let verify = ["receipt", "verify", text(&document), "--genesis", text(&genesis)];
    let proved = run(&[&["--json"], &verify[..]].concat());
    assert!(proved.status.success(), "{}", stderr(&proved));
    let proved: Value = serde_json::from_slice(&proved.stdout).unwrap();
    assert!(proved["lots"].as_array().unwrap().iter().any(|one| one["lot"] == lot), "{proved}");
    assert_eq!(proved["document"], "as_booked");
    let bent = std::fs::read_to_string(&document).unwrap();
    let bent = bent.replacen(
        "\"pcfExcludingBiogenicUptake\": \"3",
        "\"pcfExcludingBiogenicUptake\": \"1",
        1,
    );
    std::fs::write(&document, bent).unwrap();
    let refused = run(&verify);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));

    let events = folder.join("events.json");
    let count = export("epcis", &events, &["--lot", "spare part"])["events"].clone();
    let list = read(&events)["epcisBody"]["eventList"].clone();
    assert_eq!(count, list.as_array().unwrap().len());
    assert!(list.as_array().unwrap().iter().any(|event| event["bizStep"] == "transporting"));
}

/// Anybody can repeat the audit on what was kept; a flipped byte is named.
fn audited_again(data: &Path, log_root: &str) {
    let genesis = data.join("genesis.json");
    let of = |name: &str| data.join("authorities").join(name).join("data");
    let (one, other) = (of("authority-0"), of("authority-3"));
    let arguments =
        ["audit", "replay", text(&one), "--genesis", text(&genesis), "--against", text(&other)];
    let json = run(&[&["--json"], arguments.as_slice()].concat());
    assert!(json.status.success(), "{}", stderr(&json));
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["log_root"], log_root);

    let segment = one.join("ledger").join("00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&segment, bytes).unwrap();
    let damaged = run(&arguments);
    assert!([5, 6].contains(&damaged.status.code().unwrap()), "{damaged:?}");
    assert!(stderr(&damaged).contains("00000000000000000001.seg"), "{}", stderr(&damaged));

    let out = data.join("tables");
    let export = ["export", "csv", text(&one), "--genesis", text(&genesis), "--out", text(&out)];
    let refused = run(&export);
    assert_eq!(refused.status.code(), damaged.status.code(), "{}", stderr(&refused));
    assert!(!out.exists(), "nothing is exported of a damaged ledger");
}

#[test]
fn a_malformed_scenario_is_named_with_file_line_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/scenarios");
    let file = "b-aircraft-spare-part.toml";
    std::fs::copy(shipped.join(file), folder.path().join(file)).unwrap();
    let scenario = folder.path().join("b-aircraft-spare-part.toml");
    let whole = std::fs::read_to_string(&scenario).unwrap();
    let broken = whole.replacen("machine = \"ingot-yard\"", "machine = \"no-such-yard\"", 1);
    assert_ne!(broken, whole);
    let line = 1 + broken.lines().position(|line| line.contains("no-such-yard")).unwrap();
    let column = 1 + "machine = ".len();
    std::fs::write(&scenario, broken).unwrap();
    let output = run(&["demo", "--scenarios", text(folder.path())]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    let place = format!("b-aircraft-spare-part.toml:{line}:{column}: unknown machine");
    assert!(stderr(&output).contains(&place), "{}", stderr(&output));
}

#[test]
fn what_cannot_be_shown_is_refused_before_anything_starts() {
    let taken = tempfile::tempdir().unwrap();
    std::fs::write(taken.path().join("genesis.json"), "{}").unwrap();
    let exists = format!("{}: exists already", taken.path().join("genesis.json").display());
    for (arguments, code, says) in [
        (&["demo", "--only", "FZ1", "--data", text(taken.path())][..], 6, exists.as_str()),
        (&["demo", "--only", "FZ9"][..], 2, "there is no variant \"FZ9\""),
        (&["demo", "--scenarios", "/no/such/folder"][..], 6, "/no/such/folder"),
        (&["demo", "--data", "/proc/no/such/folder", "--only", "FZ1"][..], 6, "/proc/no"),
        (&["audit", "replay", "/no/data", "--genesis", "/no/genesis.json"][..], 6, "/no/genesis"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
}
