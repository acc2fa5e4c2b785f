//! How a command fails: a stable code for programs, a sentence for people, an exit code for shells.

use kerbholz_client::ClientError;
use kerbholz_client::evidence::AccusationError;
use kerbholz_client::ledger::balance::BalanceError;
use kerbholz_client::ledger::footprint::Overflow;
use kerbholz_client::ledger::rows::ReadError;
use kerbholz_client::network::NetworkFileError;
use kerbholz_client::protocol::Refusal;
use kerbholz_client::receipt::ReceiptError;
use kerbholz_node::audit::AuditError;
use kerbholz_node::demo::{DemoError, Failure};
use kerbholz_node::driver::DriverError;
use kerbholz_node::executor::ExecuteError;
use kerbholz_node::export::ExportError;
use kerbholz_node::export::pact::proof::DocumentError;
use kerbholz_node::files::FileError;
use kerbholz_node::node::NodeError;
use kerbholz_node::replica::OpenError;
use kerbholz_node::setup::SetupError;
use kerbholz_node::written::{Problem, Problems};
use std::path::PathBuf;

/// Exit code of a failure without a code of its own.
pub const OTHER: u8 = 1;
/// Exit code of arguments that make no sense.
pub const USAGE: u8 = 2;
/// Exit code of a refusal by the ledger.
pub const REJECTED: u8 = 3;
/// Exit code of a network that gives no answer.
pub const UNREACHABLE: u8 = 4;
/// Exit code of something that proves nothing.
pub const UNVERIFIED: u8 = 5;
/// Exit code of a file or data directory that cannot be used.
pub const FILE: u8 = 6;

/// Exit code of software that is too old for what the network has activated.
pub const OUTDATED: u8 = 7;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments contradict each other, or name nothing that exists.
    #[error("{0}")]
    Usage(String),
    /// The network, or the ledger.
    #[error("{}{}", .0, hint(.0))]
    Client(#[from] ClientError),
    /// A receipt.
    #[error("the receipt does not verify: {0}")]
    Receipt(#[from] ReceiptError),
    /// Evidence against an authority.
    #[error("the evidence does not verify: {0}")]
    Evidence(#[from] AccusationError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody whose key is not here.
    #[error(
        "{path}: no such key: act as somebody whose key is here (`kerbholz machine list` shows \
         them), or have a machine enrolled (`kerbholz machine enrol`)"
    )]
    NoKey {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder that is no authority's.
    #[error(
        "{path}: no such file: name the folder of an authority, e.g. `kerbholz node --dir \
         DIR/authorities/authority-0` (`kerbholz init` makes them)"
    )]
    NoAuthority {
        /// Where its configuration was looked for.
        path: PathBuf,
    },
    /// A network's files.
    #[error(transparent)]
    Network(#[from] NetworkFileError),
    /// A new network.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A file of factors.
    #[error(transparent)]
    Factors(#[from] Problems),
    /// A scenario file.
    #[error(transparent)]
    Scenario(#[from] Problem),
    /// An authority.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The demo.
    #[error(transparent)]
    Demo(#[from] Failure),
    /// An audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A product footprint.
    #[error("the product footprint does not verify: {0}")]
    Document(#[from] DocumentError),
    /// An export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Rows that were fetched or replayed.
    #[error(transparent)]
    State(#[from] ReadError),
    /// Books that do not balance.
    #[error("the books do not balance: {0}")]
    Balance(#[from] BalanceError),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<Overflow> for CliError {
    fn from(overflow: Overflow) -> Self {
        Self::Balance(overflow.into())
    }
}

impl CliError {
    /// Nobody is called this, or nothing has this id.
    pub fn no_such(kind: &str, name: &str, list: &str) -> Self {
        Self::Usage(format!("there is no {kind} {name:?}: see `{list}`"))
    }

    /// The stable name of the reason, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Client(ClientError::Rejected { rejection, .. }) => rejection.code.name(),
            Self::Client(ClientError::Refused(Refusal::Rejected(code))) => code.name(),
            Self::Client(ClientError::Unknown(_)) => "unknown",
            Self::Client(ClientError::NotEnrolled) => "not_enrolled",
            _ => match self.exit_code() {
                UNREACHABLE => "unreachable",
                UNVERIFIED => "unverified",
                OUTDATED => "outdated",
                FILE => "file",
                USAGE => "usage",
                _ => "failed",
            },
        }
    }

    /// What the process answers.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Setup(
                SetupError::Genesis(_)
                | SetupError::Committee(_)
                | SetupError::Name(_)
                | SetupError::Ports { .. },
            ) => USAGE,
            Self::Client(error) => client_exit_code(error),
            Self::Document(DocumentError::Malformed(_) | DocumentError::NoReceipt) => FILE,
            Self::Receipt(_) | Self::Evidence(_) | Self::Document(_) | Self::Balance(_) => {
                UNVERIFIED
            }
            Self::State(_) => OTHER,
            Self::File(_) | Self::NoKey { .. } | Self::NoAuthority { .. } => FILE,
            Self::Network(_) | Self::Factors(_) | Self::Scenario(_) => FILE,
            Self::Setup(SetupError::File(_) | SetupError::Storage(_)) => FILE,
            Self::Node(NodeError::Driver(DriverError::Execute(ExecuteError::Outdated {
                ..
            })))
            | Self::Node(NodeError::Open(OpenError::Execute(ExecuteError::Outdated { .. })))
            | Self::Audit(AuditError::Outdated { .. }) => OUTDATED,
            // A full disk is found out while the node runs, too.
            Self::Node(NodeError::Driver(DriverError::Storage(_) | DriverError::Execute(_))) => {
                FILE
            }
            Self::Node(NodeError::Network(_) | NodeError::Driver(_) | NodeError::Thread(_)) => {
                OTHER
            }
            Self::Node(_) => FILE,
            Self::Demo(failure) => demo_exit_code(&failure.error),
            Self::Audit(error) => audit_exit_code(error),
            Self::Export(ExportError::Unbalanced { .. }) => UNVERIFIED,
            Self::Export(ExportError::NoFootprint(_)) => OTHER,
            Self::Export(_) => FILE,
            Self::Setup(SetupError::NoPort { .. } | SetupError::InUse(_)) | Self::Other(_) => OTHER,
        }
    }
}

const fn demo_exit_code(error: &DemoError) -> u8 {
    match error {
        DemoError::Scenario(_)
        | DemoError::Factors(_)
        | DemoError::Io { .. }
        | DemoError::Network(_)
        | DemoError::Setup(SetupError::File(_) | SetupError::Storage(_)) => FILE,
        DemoError::Stories(_) => USAGE,
        DemoError::Step { source, .. } => client_exit_code(source),
        DemoError::Audit { source, .. } => audit_exit_code(source),
        DemoError::Receipt(_) => UNVERIFIED,
        _ => OTHER,
    }
}

const fn audit_exit_code(error: &AuditError) -> u8 {
    if error.is_difference() { UNVERIFIED } else { FILE }
}

const fn client_exit_code(error: &ClientError) -> u8 {
    match error {
        ClientError::Rejected { .. } | ClientError::Refused(Refusal::Rejected(_)) => REJECTED,
        ClientError::Refused(Refusal::BadRequest) | ClientError::BadAnswer => OTHER,
        ClientError::Refused(_)
        | ClientError::Undecided { .. }
        | ClientError::TimedOut(_)
        | ClientError::Connection(_) => UNREACHABLE,
        ClientError::BadReceipt(_) | ClientError::BadAccusation(_) => UNVERIFIED,
        ClientError::Unknown(_) => USAGE,
        ClientError::NotEnrolled => OTHER,
    }
}

/// What helps most people who see this error.
const fn hint(error: &ClientError) -> &'static str {
    match error {
        ClientError::Connection(_) => {
            "\nIs the network running? A local one is started with `kerbholz dev`."
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_node::storage::StorageError;

    #[test]
    fn a_disk_that_fills_up_is_a_matter_of_files_whoever_meets_it() {
        let full = || StorageError::Full { path: "ledger".into(), action: "append" };
        let met = [
            NodeError::Storage(full()),
            NodeError::Driver(full().into()),
            NodeError::Driver(ExecuteError::from(full()).into()),
        ];
        for error in met {
            assert_eq!(CliError::from(error).exit_code(), FILE);
        }
        let outdated = || ExecuteError::Outdated { commit: 9, version: 2, known: 1 };
        let met = [NodeError::Driver(outdated().into()), NodeError::Open(outdated().into())];
        for error in met {
            assert_eq!(CliError::from(error).exit_code(), OUTDATED);
        }
        assert_eq!(
            CliError::from(NodeError::from(DriverError::Gone("network"))).exit_code(),
            OTHER
        );
    }
}
