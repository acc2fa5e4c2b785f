//! A set of authorities as one 128-bit word, so that counting authors is one instruction.

use crate::types::AuthorityIndex;

/// A set of authorities. Only a [`Committee`](crate::Committee) says whether it is a quorum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AuthoritySet(u128);

impl AuthoritySet {
    /// The set without members.
    pub const EMPTY: Self = Self(0);

    /// How many authorities a set, and therefore a committee, can hold.
    pub const CAPACITY: usize = 128;

    /// Adds `authority`; says whether it is new. An index beyond the capacity is never a member.
    pub fn insert(&mut self, authority: AuthorityIndex) -> bool {
        let before = self.0;
        self.0 |= Self::bit(authority);
        self.0 != before
    }

    /// Removes `authority`.
    pub fn remove(&mut self, authority: AuthorityIndex) {
        self.0 &= !Self::bit(authority);
    }

    /// Whether `authority` is a member.
    pub fn contains(self, authority: AuthorityIndex) -> bool {
        self.0 & Self::bit(authority) != 0
    }

    /// How many members there are.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members that are in `others`, too.
    pub fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The members that are not in `others`.
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// The members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = AuthorityIndex> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let index = u16::try_from(rest.trailing_zeros()).ok().filter(|&i| i < 128)?;
            rest &= rest - 1;
            Some(AuthorityIndex(index))
        })
    }

    fn bit(authority: AuthorityIndex) -> u128 {
        1u128.checked_shl(u32::from(authority.0)).unwrap_or(0)
    }
}

impl FromIterator<AuthorityIndex> for AuthoritySet {
    fn from_iter<I: IntoIterator<Item = AuthorityIndex>>(authorities: I) -> Self {
        let mut set = Self::EMPTY;
        for authority in authorities {
            set.insert(authority);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn members_are_counted_once_and_listed_in_order() {
        let mut set = AuthoritySet::EMPTY;
        for (index, new) in [(127, true), (0, true), (127, false), (64, true)] {
            assert_eq!(set.insert(AuthorityIndex(index)), new);
        }
        assert_eq!(set.len(), 3);
        assert_eq!(set.iter().map(|a| a.0).collect::<Vec<_>>(), [0, 64, 127]);
        set.remove(AuthorityIndex(64));
        assert!(!set.contains(AuthorityIndex(64)) && set.contains(AuthorityIndex(127)));
    }

    #[test]
    fn an_index_beyond_the_capacity_is_never_a_member() {
        let mut set = AuthoritySet::EMPTY;
        assert!(!set.insert(AuthorityIndex(128)) && !set.insert(AuthorityIndex(u16::MAX)));
        assert!(set.is_empty() && !set.contains(AuthorityIndex(128)));
    }
}
