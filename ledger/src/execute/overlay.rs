//! Changes not yet applied, over a state: reads see them, nothing below does.
//!
//! A commit is one overlay over the storage, a transaction one over the commit's; a refused
//! transaction's overlay is dropped, so that nothing of it remains.

use crate::bytes::{Bytes, Key};
use crate::codec::Encoder;
use crate::rows::{Read, ReadError, Row, Write};
use alloc::{collections::BTreeMap, vec::Vec};
use core::{cell::Cell, ops::Bound};
use serde::Serialize;

/// A state with changes on top.
pub(super) struct Overlay<'a> {
    base: &'a dyn Read,
    writes: BTreeMap<Key<'static>, Option<Bytes>>,
    /// One for all overlays of a commit.
    encoder: &'a Cell<Encoder>,
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    pub(super) fn new(base: &'a dyn Read, encoder: &'a Cell<Encoder>) -> Self {
        Self { base, writes: BTreeMap::new(), encoder }
    }

    /// Sets a row.
    pub(super) fn put<T: Serialize>(&mut self, key: Vec<u8>, row: &T) {
        let mut encoder = self.encoder.take();
        let row = encoder.encode(row).into();
        self.encoder.set(encoder);
        self.set(key, Some(row));
    }

    /// Sets a row of an index: the key says everything.
    pub(super) fn mark(&mut self, key: Vec<u8>) {
        self.set(key, Some(Bytes::default()));
    }

    /// Removes a row.
    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.set(key, None);
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        self.writes.insert(Key::kept(key.into()), value);
    }

    /// Takes over the changes of an overlay that lay on this one.
    pub(super) fn adopt(&mut self, writes: &[Write]) {
        for write in writes {
            self.writes.insert(Key::kept(write.key.clone()), write.value.clone());
        }
    }

    /// The changes, ascending by key.
    pub(super) fn into_writes(self) -> Vec<Write> {
        let write = |(key, value): (Key<'static>, _)| Write { key: key.into_bytes(), value };
        self.writes.into_iter().map(write).collect()
    }
}

impl Read for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.writes.get(&Key::lent(key)) {
            Some(value) => Ok(value.as_ref().map(|value| value.to_vec())),
            None => self.base.get(key),
        }
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), ReadError> {
        match self.writes.get(&Key::lent(key)) {
            Some(value) => see(value.as_deref()),
            None => self.base.view(key, see)?,
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        // With `limit` changed rows that are there, nothing behind the last of them is asked for.
        let mut there = 0;
        let changed: Vec<_> = self
            .writes
            .range((Bound::Included(Key::lent(prefix.max(from))), Bound::Unbounded))
            .take_while(|(key, value)| {
                let wanted = there < limit && key.bytes().starts_with(prefix);
                there += usize::from(value.is_some());
                wanted
            })
            .collect();
        let removed = changed.iter().filter(|(_, value)| value.is_none()).count();
        let below = self.base.scan(prefix, from, limit.saturating_add(removed))?;
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = below.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => rows.insert(key.bytes().to_vec(), value.to_vec()),
                None => rows.remove(key.bytes()),
            };
        }
        Ok(rows.into_iter().take(limit).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use proptest::prelude::*;

    fn write((key, value): (Vec<u8>, Option<u8>)) -> Write {
        Write { key: key.into(), value: value.map(|value| crate::codec::encode(&value).into()) }
    }

    fn changes() -> impl Strategy<Value = Vec<Write>> {
        let key = prop::collection::vec(0..3_u8, 1..4);
        prop::collection::vec((key, any::<Option<u8>>()).prop_map(write), 0..30)
    }

    proptest! {
        /// What lies on top reads as if it had been applied below.
        #[test]
        fn an_overlay_reads_like_the_state_it_stands_for(
            below in changes(),
            on_top in changes(),
            prefix in prop::collection::vec(0..3_u8, 0..3),
            from in prop::collection::vec(0..3_u8, 0..4),
            limit in 0..9_usize,
        ) {
            let mut state = Memory::default();
            state.apply(&below);
            let mut applied = state.clone();
            applied.apply(&on_top);
            let encoder = Cell::default();
            let mut overlay = Overlay::new(&state, &encoder);
            overlay.adopt(&on_top);
            let (left, right) = (overlay.scan(&prefix, &from, limit), applied.scan(&prefix, &from, limit));
            prop_assert_eq!(left, right);
            for change in below.iter().chain(&on_top) {
                prop_assert_eq!(overlay.get(&change.key), applied.get(&change.key));
                let mut seen = None;
                overlay.view(&change.key, &mut |value| seen = value.map(<[u8]>::to_vec)).expect("view");
                prop_assert_eq!(Ok(seen), applied.get(&change.key));
            }
            state.apply(&overlay.into_writes());
            prop_assert_eq!(state, applied);
        }
    }
}
