//! Descriptions of machines and meters: what they can do, and where they stand.

use crate::id::MemberId;
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most services, and most processes, of a machine.
pub const LIST_MAX: usize = 16;
/// Most bytes of a service, a process or a grid zone.
pub const TEXT_MAX: usize = 64;
/// Most bytes of a location.
pub const PLACE_MAX: usize = 128;

/// `Describe`: signed by the organisation of the machine or meter (either key), or by its own owner
/// key. Takes the place of what was said before. Nobody checks it but who buys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The machine or meter.
    pub member: MemberId,
    /// Codes of the services it offers, as orders name them, ascending; none of a meter. By each of them
    /// buyers find it. At most [`LIST_MAX`] of 1 to [`TEXT_MAX`] bytes.
    pub services: Vec<String>,
    /// Processes it can perform, ascending; none of a meter. At most [`LIST_MAX`] of 1 to [`TEXT_MAX`]
    /// bytes.
    pub processes: Vec<String>,
    /// The power on its nameplate, in watts.
    pub nameplate_watts: Option<u64>,
    /// Where it stands: an address, a code of a place. At most [`PLACE_MAX`] bytes, may be empty.
    pub location: String,
    /// The grid zone that it draws from. At most [`TEXT_MAX`] bytes, may be empty.
    pub grid_zone: String,
}
