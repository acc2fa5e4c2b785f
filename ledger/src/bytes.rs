//! Bytes with several owners: a row's key and value stand in the changes of a transaction, in those
//! of its commit and in a state in memory, and are kept once. And keys of ordered maps over them.

use alloc::{sync::Arc, vec::Vec};
use core::{borrow::Borrow, cmp::Ordering, ops::Deref};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Immutable bytes; cloning them copies nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Arc<[u8]>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&**self, to)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        serde_bytes::deserialize::<Vec<u8>, D>(from).map(Self::from)
    }
}

/// A key of an ordered map, in the order of its bytes. Its first bytes stand beside the reference to
/// all of them: nearly every comparison is decided by these, without a look at another place in
/// memory, which is what looking up among many keys takes long for.
#[derive(Clone, Debug)]
pub(crate) struct Key<'a> {
    head: u64,
    whole: Whole<'a>,
}

#[derive(Clone, Debug)]
enum Whole<'a> {
    /// In a map.
    Kept(Bytes),
    /// To look up with.
    Lent(&'a [u8]),
}

impl<'a> Key<'a> {
    /// To look up with.
    pub(crate) fn lent(bytes: &'a [u8]) -> Self {
        Self { head: head(bytes), whole: Whole::Lent(bytes) }
    }

    /// All of its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.whole {
            Whole::Kept(bytes) => bytes,
            Whole::Lent(bytes) => bytes,
        }
    }
}

impl Key<'static> {
    /// To keep in a map.
    pub(crate) fn kept(bytes: Bytes) -> Self {
        Self { head: head(&bytes), whole: Whole::Kept(bytes) }
    }

    /// The bytes, for somebody else to own.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.whole {
            Whole::Kept(bytes) => bytes,
            Whole::Lent(bytes) => bytes.into(),
        }
    }
}

/// The first bytes as a number that is ordered like them. Where there are fewer, zeros follow, which
/// come before all others: what is then alike is for all bytes to decide.
fn head(bytes: &[u8]) -> u64 {
    let mut head = [0; size_of::<u64>()];
    match bytes.first_chunk() {
        Some(first) => head = *first,
        None => head.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from),
    }
    u64::from_be_bytes(head)
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.head.cmp(&other.head).then_with(|| self.bytes().cmp(other.bytes()))
    }
}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.head == other.head && self.bytes() == other.bytes()
    }
}

impl Eq for Key<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Much alike, and of many lengths.
    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..12)
    }

    proptest! {
        #[test]
        fn keys_are_ordered_like_their_bytes(left in any_bytes(), right in any_bytes()) {
            let kept = Key::kept(right.clone().into());
            prop_assert_eq!(Key::lent(&left).cmp(&kept), left.cmp(&right));
            prop_assert_eq!(Key::lent(&left) == kept, left == right);
            prop_assert_eq!(&*kept.into_bytes(), &*right);
        }
    }
}
