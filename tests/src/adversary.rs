//! Liars with names. Each has a real key and a place in the committee.

use crate::simulator::{plan::Plan, world::Message};
use kerbholz_client::consensus::Committee;

/// Who lies, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Says nothing.
    Mute,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Mute];

    /// As on the command line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Mute => "mute",
        }
    }
}

/// Something a liar says.
pub struct Says {
    /// To whom.
    pub to: usize,
    /// How long it waits first.
    pub after_ms: u64,
    /// What.
    pub message: Message,
}

/// A liar.
pub struct Liar {}

impl Liar {
    /// Ready to lie.
    pub fn new(_node: usize, _name: Name, _committee: &Committee, _plan: &Plan) -> Self {
        Self {}
    }

    /// Looks around.
    pub fn act(&mut self, _now_ms: u64) -> Vec<Says> {
        Vec::new()
    }

    /// How long until it looks around again.
    pub fn pause_ms(&self) -> u64 {
        1_000_000
    }

    /// What it says to who opens a stream to it.
    pub fn hello(&self, _peer: usize) -> Option<Message> {
        None
    }

    /// Hears something.
    pub fn hear(&mut self, _now_ms: u64, _from: usize, _message: Message) -> Vec<Says> {
        Vec::new()
    }
}
