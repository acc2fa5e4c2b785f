//! `kerbholz dev`: a local network that stays up, with two machines to try things with.
//!
//! [`authorities`] keeps the processes running; [`world`] sets up members, factors, money and a
//! first lot, each only where it is missing, so that an interrupted first run is finished by the
//! next one.

mod authorities;
mod world;

use super::context::Context;
use super::error::CliError;
use super::network::listen;
use super::output::{Output, Report};
use authorities::Authorities;
use clap::Args;
use kerbholz_client::ClientError;
use kerbholz_client::ledger::quantity::Milliseconds;
use kerbholz_client::network::{GENESIS_FILE, Network};
use kerbholz_node::config::{CONFIG_FILE, NodeConfig, Pace};
use kerbholz_node::files::FileError;
use kerbholz_node::setup::{Setup, authority_folder};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::SignalKind;

/// How many authorities a network has without other word.
const AUTHORITIES: u16 = 4;
/// How long the authorities may take to find one another.
const AGREEMENT_MAX: Duration = Duration::from_secs(60);
/// How often they are asked whether they have.
const AGREEMENT_POLL: Duration = Duration::from_millis(200);

/// What the network is to be like, the first time.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz dev                 in kerbholz-data/dev\n  \
    kerbholz dev --dir /tmp/try  somewhere else\n\nCtrl-C stops it cleanly; the next `kerbholz dev` \
    goes on where it was. To begin anew, remove the folder.")]
pub struct DevArgs {
    /// How many authorities, when the network is made; 4 without it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=16))]
    authorities: Option<u16>,
    /// Port of the first authority, the others follow, when the network is made; any free ones without it
    #[arg(long)]
    port: Option<u16>,
}

/// Keeps the network up until Ctrl-C.
pub async fn run(context: &Context, args: DevArgs, output: &Output) -> Result<Report, CliError> {
    let _lock = lock(context.dir())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let is_new = !context.dir().join(GENESIS_FILE).exists();
    if is_new {
        create(context.dir(), &args)?;
    }
    let network = context.network()?;
    if !is_new {
        check_made(context.dir(), &network, &args)?;
    }
    let names = local(context.dir(), network.genesis().authorities.iter().map(|one| &*one.name))?;
    output.remark(&format!(
        "Starting {} authorities in {} ...",
        names.len(),
        context.dir().display()
    ));
    let authorities = Authorities::start(context.dir(), &names, *output)?;
    let serve = async {
        authorities.wait_ready().await?;
        wait_agreed(context, &names).await?;
        world::set_up(context, output).await?;
        output.print(&guide(context, names.len()))?;
        std::future::pending::<()>().await;
        Ok(())
    };
    let result: Result<(), CliError> = tokio::select! {
        result = serve => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    output.remark("Stopping ...");
    authorities.stop().await;
    result.map(|()| Report::nothing())
}

/// Holds the folder, so that no second `dev` starts the same authorities.
fn lock(dir: &Path) -> Result<File, CliError> {
    let path = dir.join("dev.lock");
    let failed = |source| FileError::Io { path: path.clone(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let dir = dir.display();
            Err(CliError::Other(format!("`kerbholz dev` runs in {dir} already: use that one")))
        }
        Err(TryLockError::Error(source)) => Err(failed(source).into()),
    }
}

fn create(dir: &Path, args: &DevArgs) -> Result<(), CliError> {
    let setup = Setup {
        name: "dev".into(),
        authorities: args.authorities.unwrap_or(AUTHORITIES),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: args.port,
        pace: Pace::Lan,
        organisations: world::organisations()?,
        publishers: vec![world::PUBLISHER.into()],
        auditors: vec![],
        material_climate: None,
        currency: world::CURRENCY.into(),
        // Short, so that one sees periods end.
        accounting_period: Milliseconds::new(60_000),
    };
    setup.check_ports()?;
    setup.create(dir)?;
    Ok(())
}

/// What is said of a network that is there already must be so: nothing is changed for it.
fn check_made(dir: &Path, network: &Network, args: &DevArgs) -> Result<(), CliError> {
    let authorities = &network.genesis().authorities;
    let made = |what: String| {
        let dir = dir.display();
        CliError::Usage(format!(
            "the network in {dir} is there already, {what}. Leave the option away, choose another \
             folder with --dir, or remove this one to begin anew"
        ))
    };
    if args.authorities.is_some_and(|count| usize::from(count) != authorities.len()) {
        return Err(made(format!("and was made with {} authorities", authorities.len())));
    }
    if let (Some(port), Some(first)) = (args.port, authorities.first()) {
        let listen = NodeConfig::read(&authority_folder(dir, &first.name))?.listen;
        let ends = format!("/tcp/{port}");
        if !listen.iter().any(|address| address.ends_with(&ends)) {
            let listen = listen.join(" and ");
            return Err(made(format!("and its {} listens on {listen}", first.name)));
        }
    }
    Ok(())
}

/// The authorities that have a folder here: those of the genesis, then who was made later.
fn local<'a>(dir: &Path, genesis: impl Iterator<Item = &'a str>) -> Result<Vec<String>, CliError> {
    let path = authority_folder(dir, "");
    let failed = |source| FileError::Io { path: path.clone(), source };
    let mut later = BTreeSet::new();
    for entry in std::fs::read_dir(&path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().join(CONFIG_FILE).exists() {
            later.extend(entry.file_name().into_string());
        }
    }
    let first: Vec<String> =
        genesis.filter(|name| later.remove(*name)).map(ToOwned::to_owned).collect();
    Ok(first.into_iter().chain(later).collect())
}

/// Waits until those of the present committee that run here are connected with one another. Who
/// was voted out, or not in yet, is not waited for.
async fn wait_agreed(context: &Context, names: &[String]) -> Result<(), CliError> {
    let agreed = async {
        while !is_agreed(context, names).await? {
            tokio::time::sleep(AGREEMENT_POLL).await;
        }
        Ok(())
    };
    tokio::time::timeout(AGREEMENT_MAX, agreed)
        .await
        .unwrap_or(Err(ClientError::TimedOut("the authorities' agreement").into()))
}

async fn is_agreed(context: &Context, names: &[String]) -> Result<bool, CliError> {
    let session = context.reader()?;
    let committee = match session.committee().await {
        Ok(committee) => committee,
        Err(ClientError::Connection(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let members = committee.authorities.iter();
    let members: Vec<_> = members.filter(|one| names.contains(&one.name)).collect();
    for (index, contact) in session.network().authorities().iter().enumerate() {
        if !members.iter().any(|one| one.key == contact.key) {
            continue;
        }
        match session.info_of(index).await {
            Ok(info) if usize::from(info.connected) >= members.len() => {}
            Ok(_) | Err(ClientError::Connection(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// What to type next, ready to be copied.
fn guide(context: &Context, authorities: usize) -> Report {
    let program = program();
    let dir = context.dir().display();
    let is_default = context.dir() == Path::new("kerbholz-data/dev");
    let folder =
        if is_default { String::new() } else { format!(" --dir {}", quoted(&dir.to_string())) };
    let line = |rest: &str| format!("{program}{folder} {rest}");
    let place = line(
        "order place bracket --quantity \"1 piece\" --from printer --as press --price \"25.00 EUR\"",
    );
    let next = [
        line("order accept latest --as printer"),
        line("order start latest --as printer"),
        line(
            "order complete latest --as printer --use \"PA12 powder:120 g\" --use \"electricity:1.8 kWh\" \
             --make \"bracket=1 piece,mass=100 g\" --waste \"spent powder=20 g\"",
        ),
        line("order confirm latest --as press"),
        line("footprint latest"),
        line("receipt get latest --out bracket.receipt"),
        format!(
            "{program} receipt verify bracket.receipt --genesis {}",
            quoted(&context.dir().join(GENESIS_FILE).display().to_string())
        ),
    ];
    let text = format!(
        "A network of {authorities} authorities is up in {dir}. Ctrl-C stops it, the next `dev` goes \
         on.\n\nPlace the first order, in another terminal:\n\n  {place}\n\nThen:\n\n  {}",
        next.join("\n  ")
    );
    let json = json!({
        "ready": true, "dir": context.dir(), "authorities": authorities, "place": place, "next": next,
    });
    Report::new(text, json)
}

/// How this program is called from here: by its name where the shell finds it, else by its path.
fn program() -> String {
    let Ok(path) = std::env::current_exe() else { return "kerbholz".into() };
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&folders).any(|folder| folder.join("kerbholz") == path);
    if in_path {
        return "kerbholz".into();
    }
    let here: PathBuf = std::env::current_dir().unwrap_or_default();
    match path.strip_prefix(&here) {
        // A bare name would be looked for in the PATH.
        Ok(below) => quoted(&Path::new(".").join(below).display().to_string()),
        Err(_) => quoted(&path.display().to_string()),
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::{local, quoted};
    use std::fs;

    #[test]
    fn who_has_a_folder_here_is_started() {
        let root = tempfile::tempdir().unwrap();
        for name in ["b", "a", "newcomer", "another", "empty"] {
            let folder = root.path().join("authorities").join(name);
            fs::create_dir_all(&folder).unwrap();
            if name != "empty" {
                fs::write(folder.join("node.toml"), "").unwrap();
            }
        }
        let names = local(root.path(), ["b", "elsewhere", "a"].into_iter()).unwrap();
        assert_eq!(names, ["b", "a", "another", "newcomer"]);
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("target/release/kerbholz"), "target/release/kerbholz");
        assert_eq!(quoted("my data"), "'my data'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
