//! The bounded queue of own payload that waits for a block (§5.5).

use alloc::{collections::VecDeque, vec::Vec};

use crate::{
    block::{ITEM_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_ITEMS_MAX},
    event::RefusalReason,
};

/// Own payload, first come first served.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: VecDeque<Vec<u8>>,
    bytes: usize,
    items_max: usize,
    bytes_max: usize,
}

impl Queue {
    pub fn new(items_max: usize, bytes_max: usize) -> Self {
        Self { items_max, bytes_max, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Takes what fits and returns the rest with the reason.
    pub fn offer(&mut self, items: Vec<Vec<u8>>) -> Vec<(Vec<u8>, RefusalReason)> {
        let mut refused = Vec::new();
        for item in items {
            if item.is_empty() || item.len() > ITEM_BYTES_MAX {
                refused.push((item, RefusalReason::Length));
            } else if self.items.len() >= self.items_max || self.bytes + item.len() > self.bytes_max
            {
                refused.push((item, RefusalReason::QueueFull));
            } else {
                self.bytes += item.len();
                self.items.push_back(item);
            }
        }
        refused
    }

    /// Gives everything back, because no own block will come.
    pub fn clear(&mut self) -> Vec<(Vec<u8>, RefusalReason)> {
        self.bytes = 0;
        self.items.drain(..).map(|item| (item, RefusalReason::Halted)).collect()
    }

    /// What the next block carries.
    pub fn take(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = 0;
        let fits = |item: &&Vec<u8>| {
            bytes += item.len();
            bytes <= PAYLOAD_BYTES_MAX
        };
        let count = self.items.iter().take(PAYLOAD_ITEMS_MAX).take_while(fits).count();
        let taken: Vec<_> = self.items.drain(..count).collect();
        self.bytes -= taken.iter().map(Vec::len).sum::<usize>();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_queue_refuses_what_does_not_fit_and_says_why() {
        let mut queue = Queue::new(3, 100);
        let refused = queue.offer(vec![vec![1; 60], vec![], vec![2; 50], vec![3; 40], vec![4; 1]]);
        assert_eq!(refused[0], (vec![], RefusalReason::Length));
        assert_eq!(refused[1], (vec![2; 50], RefusalReason::QueueFull));
        assert_eq!(refused[2], (vec![4; 1], RefusalReason::QueueFull));
        assert_eq!(queue.take(), [vec![1; 60], vec![3; 40]]);
        assert!(queue.is_empty() && queue.offer(vec![vec![5; 100]]).is_empty());
        let too_long = vec![0; ITEM_BYTES_MAX + 1];
        assert_eq!(queue.offer(vec![too_long])[0].1, RefusalReason::Length);
    }

    #[test]
    fn a_block_takes_in_order_what_it_can_carry() {
        let mut queue = Queue::new(20_000, 64 << 20);
        assert!(queue.offer(vec![vec![1; ITEM_BYTES_MAX]; 9]).is_empty());
        assert_eq!((queue.take().len(), queue.take().len(), queue.len()), (8, 1, 0));
        assert!(queue.offer(vec![vec![1]; PAYLOAD_ITEMS_MAX + 5]).is_empty());
        assert_eq!((queue.take().len(), queue.take().len()), (PAYLOAD_ITEMS_MAX, 5));
    }
}
