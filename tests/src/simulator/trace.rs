//! Everything that happened, as one hash; and for readers as a log.

use std::fmt;

/// What happened so far.
pub struct Trace {
    hasher: blake3::Hasher,
    print: bool,
    entries: u64,
}

impl Trace {
    /// An empty one; `print` writes a line for each entry that says something.
    pub fn new(print: bool) -> Self {
        Self { hasher: blake3::Hasher::new(), print, entries: 0 }
    }

    /// Something happened at a node. The text is made only for a reader; the hash covers `what`, the
    /// numbers and the bytes.
    #[expect(clippy::print_stdout, reason = "the readable log is what was asked for")]
    pub fn note<T: fmt::Display>(
        &mut self,
        at_ms: u64,
        node: usize,
        what: &'static str,
        numbers: &[u64],
        bytes: &[u8],
        text: impl FnOnce() -> T,
    ) {
        self.quiet(at_ms, node, what, numbers, bytes);
        if self.print {
            println!("{:>8.3} n{node:<2} {what} {}", at_ms as f64 / 1_000.0, text());
        }
    }

    /// The same without a line in the log.
    pub fn quiet(
        &mut self,
        at_ms: u64,
        node: usize,
        what: &'static str,
        numbers: &[u64],
        bytes: &[u8],
    ) {
        let mut fixed = [0; 17];
        fixed[..8].copy_from_slice(&at_ms.to_le_bytes());
        fixed[8..16].copy_from_slice(&(node as u64).to_le_bytes());
        fixed[16] = numbers.len() as u8;
        self.hasher.update(&fixed).update(what.as_bytes());
        for number in numbers {
            self.hasher.update(&number.to_le_bytes());
        }
        self.hasher.update(bytes);
        self.entries += 1;
    }

    /// How many entries there are.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The hash of all of them.
    pub fn hash(&self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}
