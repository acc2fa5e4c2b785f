//! A state in memory: for replaying, simulating and testing the ledger without a storage.

use crate::bytes::{Bytes, Key};
use crate::rows::{Read, ReadError, Row, Write};
use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Bound;

/// A state held in memory. Cloning it takes a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<Key<'static>, Bytes>);

impl Memory {
    /// Applies the writes of [`crate::execute::Effects`].
    pub fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            match &write.value {
                Some(value) => self.0.insert(Key::kept(write.key.clone()), value.clone()),
                None => self.0.remove(&Key::kept(write.key.clone())),
            };
        }
    }

    /// All rows, ascending by key.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(key, value)| (key.bytes(), &**value))
    }
}

impl Read for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.0.get(&Key::lent(key)).map(|value| value.to_vec()))
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), ReadError> {
        see(self.0.get(&Key::lent(key)).map(|value| &**value));
        Ok(())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        Ok(self
            .0
            .range((Bound::Included(Key::lent(prefix.max(from))), Bound::Unbounded))
            .take_while(|(key, _)| key.bytes().starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.bytes().to_vec(), value.to_vec()))
            .collect())
    }
}
