//! `kerbholz dev` as a newcomer meets it: the printed lines, copied into a shell, carry an order from
//! its placement to a verified receipt; what was done survives Ctrl-C, a killed authority and the
//! death of `dev` itself; and no process is left behind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// What cargo puts beside this test.
fn beside(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join(name)
}

/// The program: `KERBHOLZ_BIN`, or the one beside this test.
fn program() -> PathBuf {
    let path = std::env::var_os("KERBHOLZ_BIN").map_or_else(|| beside("kerbholz"), PathBuf::from);
    assert!(path.exists(), "{} is missing: cargo build -p kerbholz-node", path.display());
    path
}

/// A running `kerbholz dev` and the lines it printed for its user.
struct Dev {
    child: Child,
    lines: Vec<String>,
}

impl Dev {
    fn start(folder: &Path) -> Self {
        let mut child = Command::new(program())
            .args(["dev", "--dir", "net"])
            .current_dir(folder)
            .env_remove("KERBHOLZ_DIR")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        for line in stdout.lines() {
            lines.push(line.unwrap().trim().to_owned());
            if lines.last().unwrap().contains("receipt verify") {
                return Self { child, lines };
            }
        }
        panic!("dev ended with {:?} after printing {lines:?}", child.wait().unwrap());
    }

    /// The printed lines that are commands, in order.
    fn commands(&self) -> Vec<&str> {
        let program = program().display().to_string();
        self.lines.iter().map(String::as_str).filter(|line| line.starts_with(&program)).collect()
    }

    fn signal(&self, signal: &str) {
        kill(self.child.id(), signal);
    }

    fn wait(&mut self) -> i32 {
        let mut status = None;
        until("dev ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, unless the test failed: then its children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(process: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
    assert!(status.success());
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn shell(folder: &Path, line: &str) -> Output {
    Command::new("sh").args(["-c", line]).current_dir(folder).output().unwrap()
}

fn succeed(folder: &Path, line: &str) -> String {
    let output = shell(folder, line);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `kerbholz` with `--json`: its exit code, and what it printed.
fn json(folder: &Path, arguments: &str) -> (i32, Value) {
    let program = program().display().to_string();
    let output = shell(folder, &format!("'{program}' --dir net --json {arguments}"));
    let printed = if output.status.success() { output.stdout } else { output.stderr };
    let text = String::from_utf8(printed).unwrap();
    let value = serde_json::from_str(text.trim()).unwrap_or_else(|_| panic!("{arguments}: {text}"));
    (output.status.code().unwrap(), value)
}

/// The processes of authorities of this network: those that name its folder in their arguments.
fn authorities(folder: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        let arguments = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        let here = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder);
        if here && arguments.contains("net/authorities/") {
            found.push(id);
        }
    }
    found
}

fn all_connected(folder: &Path) -> bool {
    let (code, status) = json(folder, "status");
    let authorities = status["authorities"].as_array().cloned().unwrap_or_default();
    code == 0
        && authorities.len() == 4
        && authorities.iter().all(|one| one["connected"] == 4 && one["duty"] == "signs")
}

/// A receipt that was tampered with proves nothing, wherever it was.
fn tamper(folder: &Path) {
    let receipt = fs::read(folder.join("bracket.receipt")).unwrap();
    let line = "receipt verify changed.receipt --genesis net/genesis.json";
    for position in (0..receipt.len()).step_by(receipt.len().div_ceil(24)) {
        let mut changed = receipt.clone();
        changed[position] ^= 1;
        fs::write(folder.join("changed.receipt"), &changed).unwrap();
        let (code, error) = json(folder, line);
        let found = (code, error["error"]["code"].as_str());
        assert_eq!(found, (5, Some("unverified")), "byte {position} of {}", receipt.len());
    }
}

#[test]
fn a_newcomer_copies_the_lines_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();

    let mut dev = Dev::start(&folder);
    let commands = dev.commands();
    assert!(commands[0].contains("order place"), "{commands:?}");
    for command in &commands {
        let printed = succeed(&folder, command);
        assert!(!printed.is_empty(), "{command} says something");
    }
    tamper(&folder);
    let (code, error) = json(&folder, "order confirm latest --as press");
    assert_eq!((code, error["error"]["code"].as_str()), (3, Some("wrong_state")));
    let (code, error) = json(&folder, "order show abcdef");
    assert_eq!((code, error["error"]["code"].as_str()), (2, Some("usage")));
    let second = json(&folder, "dev");
    assert_eq!(second.0, 1, "a second dev in the same folder is refused: {}", second.1);

    dev.signal("-INT");
    assert_eq!(dev.wait(), 0, "Ctrl-C is no failure");
    assert_eq!(authorities(&folder), [0_u32; 0], "no authority outlives a stopped dev");

    let mut dev = Dev::start(&folder);
    let (_, orders) = json(&folder, "order list --as press");
    assert_eq!(orders["orders"].as_array().unwrap().len(), 1, "{orders}");
    assert_eq!(orders["orders"][0]["state"], "settled");
    let before = authorities(&folder);
    assert_eq!(before.len(), 4);
    kill(before[0], "-KILL");
    until("a killed authority is started again", || {
        let now = authorities(&folder);
        now.len() == 4 && !now.contains(&before[0])
    });
    until("the authorities find one another again", || all_connected(&folder));
    succeed(&folder, dev.commands()[0]);

    dev.signal("-KILL");
    dev.wait();
    until("no authority outlives a killed dev", || authorities(&folder).is_empty());
}

/// What is typed, the exit code, and a place in the printed document with what stands there.
type Line = (&'static str, i32, &'static str, &'static str);

/// A day in the life of a printer, in the order in which it happens.
const DAY: &[Line] = &[
    ("machine enrol lathe --as printworks", 0, "/name", "lathe"),
    ("machine enrol lathe --as printworks", 3, "/error/code", "key_in_use"),
    ("machine enrol lathe --as nobody", 6, "/error/code", "file"),
    ("machine enrol lathe --as press", 3, "/error/code", "wrong_signer"),
    ("meter enrol clock --of lathe --factor electricity.DE --as printworks", 0, "/name", "clock"),
    ("meter enrol clock2 --of lathe --factor no.such --as printworks", 2, "/error/code", "usage"),
    ("meter read clock --register '5 kWh'", 0, "/product", "electricity"),
    ("meter read clock --register '4 kWh'", 3, "/error/code", "register_not_ahead"),
    ("meter read clock --adds '1 kg'", 2, "/error/code", "usage"),
    ("meter show clock", 0, "/register/unit", "J"),
    ("machine show lathe", 0, "/kind", "machine"),
    ("machine show nobody", 2, "/error/code", "usage"),
    ("machine list", 0, "/members/0/kind", ""),
    ("lot transfer 'PA12 powder:1 kg' --to lathe --as printer", 0, "/lot", ""),
    ("lot transfer 'PA12 powder:1 t' --to lathe --as printer", 2, "/error/code", "usage"),
    ("lot show 'PA12 powder' --as lathe", 0, "/quantity/unit", "mg"),
    ("machine rotate-key lathe --as printworks", 0, "/signing_key", ""),
    ("lot sink 'PA12 powder:100 g' --kind disposed --as lathe", 0, "/transaction", ""),
    ("lot list --as lathe", 0, "/lots/0/product", ""),
    ("footprint 'PA12 powder' --as lathe", 0, "/footprint/dimensions/7/value", "6300000000000"),
    ("machine revoke lathe --as printworks --reason sold", 0, "/member", ""),
    ("lot sink 'PA12 powder:1 g' --as lathe", 3, "/error/code", "revoked_signer"),
    ("factor list", 0, "/factors/0/code", "carbon_content.ABS"),
    ("factor list electricity.C", 0, "/factors/0/code", "electricity.CN"),
    ("factor show material.ABS", 0, "/books_as", "as evidenced"),
    ("factor show electricity.DE.modelled", 0, "/books_as", "default"),
    ("factor show no.such", 2, "/error/code", "usage"),
    ("factor check", 0, "/label", "kerbholz-default@1"),
    ("factor publish --as factors", 2, "/error/code", "usage"),
    ("factor export kerbholz-default@7", 2, "/error/code", "usage"),
    ("scenario list", 0, "/scenarios/0/name", "a-phone-shell"),
    ("scenario check c4-failing-print", 0, "/variants", "2"),
    ("scenario check no-such", 2, "/error/code", "usage"),
    (
        "scenario compute c2-delivery",
        0,
        "/scenarios/0/title",
        "A receiver box that confirms a delivery by itself",
    ),
    ("scenario run c4-failing-print", 0, "/scenarios/0/as_computed", "true"),
    (
        "scenario run c4-failing-print --only C4-camera",
        0,
        "/scenarios/0/expectations/0/outcome",
        "holds",
    ),
    ("money issue '5 EUR' --to printworks --as stamping", 0, "/currency", "EUR"),
    ("money issue '5 EUR' --to printworks --as printworks", 3, "/error/code", "not_issuer"),
    ("money show", 0, "/accounts/0/currency", "EUR"),
    (
        "order place x --quantity '1 piece' --from press --as press",
        3,
        "/error/code",
        "terms_invalid",
    ),
    ("order place x --quantity '1 piece' --from printer --as press", 0, "/state", "placed"),
    ("order accept latest --as press", 3, "/error/code", "not_provider"),
    ("order reject latest --as printer", 0, "/state", "rejected"),
    ("order place x --quantity '1 piece' --from printer --as press", 0, "/state", "placed"),
    ("footprint latest", 2, "/error/code", "usage"),
    (
        "order show 0000000000000000000000000000000000000000000000000000000000000000",
        2,
        "/error/code",
        "unknown",
    ),
    ("order cancel latest --as press", 0, "/state", "cancelled"),
    (
        "order place x --quantity '2 piece' --from printer --as press --price '10 EUR' \
      --predicted '2 kg' --carbon-price '0.10 EUR' --hold '12 EUR' --cap '3 kg'",
        0,
        "/state",
        "placed",
    ),
    ("order accept latest --as printer", 0, "/state", "accepted"),
    ("order start latest --as printer", 0, "/state", "started"),
    (
        "order complete latest --as printer --partial --use 'PA12 powder:100 g' \
      --make 'x=1 piece,mass=90 g'",
        3,
        "/error/code",
        "mass_imbalance",
    ),
    (
        "order complete latest --as printer --partial --use 'PA12 powder:100 g' \
      --make 'x=1 piece,mass=90 g' --waste 'dust=10 g' \
      --activity 'transport=0.05 tkm@transport.van'",
        0,
        "/state",
        "completed",
    ),
    ("order confirm latest --as press", 0, "/state", "settled"),
    // Half the price, and at 10 cents a kilogram for about 0.27 kg less than half the prediction.
    ("order show latest --as press", 0, "/paid_minor", "502"),
    ("lot tree x --as press", 0, "/tree/1/lot/product", "PA12 powder"),
    ("order place x --quantity '1 piece' --from printer --as press", 0, "/state", "placed"),
    ("order accept latest --as printer", 0, "/state", "accepted"),
    ("order start latest --as printer", 0, "/state", "started"),
    ("order fail latest --as printer --use 'PA12 powder:50 g'", 2, "/error/code", "usage"),
    (
        "order fail latest --as printer --use 'PA12 powder:50 g' --waste 'scrap=50 g'",
        0,
        "/state",
        "failed",
    ),
    ("order list --as printer", 0, "/orders/3/state", "failed"),
    ("receipt get latest --out failed.receipt", 0, "/file", "failed.receipt"),
    ("receipt get latest --out failed.receipt", 6, "/error/code", "file"),
    ("receipt verify failed.receipt --genesis net/genesis.json", 0, "/orders/0/state", "failed"),
];

#[test]
fn every_command_answers_programs_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(folder.path()).unwrap();
    let _dev = Dev::start(&folder);
    for (line, code, place, expected) in DAY {
        let (mut found, mut document) = json(&folder, line);
        // A revocation holds from a commit on that may be a few ahead.
        let deadline = Instant::now() + Duration::from_secs(60);
        while found == 0 && *expected == "revoked_signer" && Instant::now() < deadline {
            (found, document) = json(&folder, line);
        }
        assert_eq!(found, *code, "{line}: {document}");
        let value = document.pointer(place).unwrap_or_else(|| panic!("{line}: {document}"));
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        assert!(expected.is_empty() || text == *expected, "{line}: {place} of {document}");
    }

    let mut watch = Command::new(program())
        .args(["order", "watch", "--dir", "net", "--json", "--from", "0", "--as", "press"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let states = lines.map(|line| {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        event["state"].as_str().unwrap().to_owned()
    });
    let seen: Vec<String> = states.take(4).collect();
    assert_eq!(seen, ["placed", "rejected", "placed", "cancelled"]);
    kill(watch.id(), "-INT");
    assert!(watch.wait().unwrap().success(), "Ctrl-C is how a watch ends");

    let example = beside("examples/spare_part");
    assert!(example.exists(), "build it: cargo build -p kerbholz-client --examples");
    let printed = succeed(&folder, &format!("KERBHOLZ_DIR=net '{}'", example.display()));
    assert!(printed.contains("verified"), "{printed}");
}
