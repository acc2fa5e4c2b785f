//! Rows in one answer: as many as fit, so that whoever asks on comes to the end; a refusal where
//! not even the first one does.

use crate::index;
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::quantity::Epoch;
use kerbholz_client::ledger::rows::{Read, ReadError, Row};
use kerbholz_client::protocol::{Answer, KEYS_MAX, ROWS_MAX, Refusal};

/// Most bytes of rows in one answer.
const ROW_BYTES_MAX: usize = 3 << 20;
/// Rows read at once for a page.
const ROWS_AT_ONCE: usize = 8;

/// The values of keys, in their order.
pub(super) fn get(rows: &dyn Read, keys: &[Vec<u8>]) -> Result<Answer, ReadError> {
    if keys.len() > KEYS_MAX {
        return Ok(Answer::Refused(Refusal::BadRequest));
    }
    let mut values = Vec::with_capacity(keys.len());
    let mut bytes = 0;
    for key in keys {
        let value = rows.get(key)?;
        bytes += value.as_ref().map_or(0, Vec::len);
        if bytes > ROW_BYTES_MAX {
            break;
        }
        values.push(value);
    }
    let none_fits = values.is_empty() && !keys.is_empty();
    Ok(if none_fits { Answer::Refused(Refusal::BadRequest) } else { Answer::Rows(values) })
}

/// How epochs ended, from one on.
pub(super) fn epochs(rows: &dyn Read, from: Epoch) -> Result<Answer, ReadError> {
    let (mut ends, mut bytes, mut epoch) = (Vec::new(), 0, from);
    while let Some(end) = index::epoch_end(rows, epoch)? {
        bytes += codec::encode(&end).len();
        if bytes > ROW_BYTES_MAX && !ends.is_empty() {
            break;
        }
        ends.push(end);
        let Some(next) = epoch.checked_add(Epoch::new(1)) else { break };
        epoch = next;
    }
    Ok(Answer::Epochs(ends))
}

/// A page of rows by prefix.
pub(super) fn scan(
    rows: &dyn Read,
    prefix: &[u8],
    from: &[u8],
    limit: u32,
) -> Result<Answer, ReadError> {
    let page = page(rows, prefix, from, limit.min(ROWS_MAX) as usize)?;
    Ok(page.map_or(Answer::Refused(Refusal::BadRequest), Answer::Page))
}

/// Rows by prefix. The page is cut where it grows too large, and the client asks on from its last
/// row; only where nothing follows is it empty. `None` when not even the first row fits: no request
/// brings that one.
///
/// Read a few at a time: the largest rows have megabytes, and whoever asks need not be a member.
fn page(
    rows: &dyn Read,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Option<Vec<Row>>, ReadError> {
    let (mut page, mut bytes, mut from) = (Vec::new(), 0, from.to_vec());
    while page.len() < limit {
        let few = rows.scan(prefix, &from, ROWS_AT_ONCE.min(limit - page.len()))?;
        let Some((last, _)) = few.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in few {
            bytes += key.len() + value.len();
            if bytes > ROW_BYTES_MAX {
                return Ok((!page.is_empty()).then_some(page));
            }
            page.push((key, value));
        }
    }
    Ok(Some(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_client::ledger::memory::Memory;
    use kerbholz_client::ledger::rows::Write;
    use std::cell::Cell;

    /// Rows `[7, 0]`, `[7, 1]`, ... of so many bytes each.
    fn rows(lengths: &[usize]) -> Memory {
        let write =
            |(number, length): (usize, &usize)| Write::set(vec![7, number as u8], vec![0; *length]);
        let mut rows = Memory::default();
        rows.apply(&lengths.iter().enumerate().map(write).collect::<Vec<_>>());
        rows
    }

    const MIB: usize = 1 << 20;

    #[test]
    fn an_answer_holds_the_values_that_fit() {
        // (lengths of the rows, how many are answered at first)
        let table: [(&[usize], Option<usize>); 6] = [
            (&[], Some(0)),
            (&[1, 2, 3], Some(3)),
            (&[2 * MIB, MIB - 100, 1], Some(3)),
            (&[2 * MIB, 2 * MIB], Some(1)),
            (&[1, 3 * MIB, 1], Some(1)),
            (&[3 * MIB + 1, 1], None),
        ];
        for (lengths, expected) in table {
            let keys: Vec<_> = (0..lengths.len()).map(|number| vec![7, number as u8]).collect();
            let count = match get(&rows(lengths), &keys).unwrap() {
                Answer::Rows(values) => Some(values.len()),
                answer => {
                    assert_eq!(answer, Answer::Refused(Refusal::BadRequest));
                    None
                }
            };
            assert_eq!(count, expected, "{lengths:?}");
        }
    }

    #[test]
    fn a_page_goes_on_where_the_last_one_ended_and_keeps_to_its_prefix() {
        let rows = rows(&[1; 5]);
        let page = |from: &[u8], limit| match scan(&rows, &[7], from, limit).unwrap() {
            Answer::Page(page) => page.into_iter().map(|(key, _)| key[1]).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(page(&[], 2), [0, 1]);
        assert_eq!(page(&[7, 1, 0], 2), [2, 3]);
        assert_eq!(page(&[7, 3, 0], u32::MAX), [4]);
        assert_eq!(page(&[7, 4, 0], 2), [0; 0]);
        assert_eq!(page(&[9], 2), [0; 0]);
        assert_eq!(scan(&rows, &[8], &[], 2).unwrap(), Answer::Page(vec![]));
    }

    #[test]
    fn unknown_keys_have_no_value_and_too_many_are_refused() {
        let rows = rows(&[1]);
        let answer = get(&rows, &[vec![8], vec![7, 0]]).unwrap();
        assert_eq!(answer, Answer::Rows(vec![None, Some(vec![0])]));
        let answer = get(&rows, &vec![vec![7, 0]; KEYS_MAX + 1]).unwrap();
        assert_eq!(answer, Answer::Refused(Refusal::BadRequest));
    }

    /// Rows of one size under the keys 0, 1, 2 ... that notes how much was read of them at once.
    struct Rows {
        count: u8,
        size: usize,
        most: Cell<usize>,
    }

    impl Read for Rows {
        fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
            Ok(None)
        }

        fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
            let keys = (0..self.count).map(|number| [prefix, &[number]].concat());
            let keys = keys.filter(|key| key.as_slice() >= from).take(limit);
            let rows: Vec<Row> = keys.map(|key| (key, vec![0; self.size])).collect();
            self.most.set(self.most.get().max(rows.len() * self.size));
            Ok(rows)
        }
    }

    /// How many rows each page has, until one is empty; `None` where a row fits no page.
    fn pages(rows: &Rows, limit: usize) -> Vec<Option<usize>> {
        let (mut from, mut lengths) = (vec![7], Vec::new());
        loop {
            let page = page(rows, &[7], &from, limit).unwrap();
            lengths.push(page.as_ref().map(Vec::len));
            match page.as_ref().and_then(|page| page.last()) {
                Some((last, _)) => from = [last.as_slice(), &[0]].concat(),
                None => return lengths,
            }
        }
    }

    #[test]
    fn pages_are_cut_by_rows_and_bytes_and_end_with_an_empty_one() {
        let third = ROW_BYTES_MAX / 3;
        // (rows, bytes of each, limit, pages)
        let table: [(u8, usize, usize, &[Option<usize>]); 6] = [
            (0, 10, 5, &[Some(0)]),
            (7, 10, 5, &[Some(5), Some(2), Some(0)]),
            (20, 10, 1_000, &[Some(20), Some(0)]),
            (7, third, 1_000, &[Some(2), Some(2), Some(2), Some(1), Some(0)]),
            (2, ROW_BYTES_MAX - 2, 5, &[Some(1), Some(1), Some(0)]),
            (2, ROW_BYTES_MAX, 5, &[None]),
        ];
        for (count, size, limit, expected) in table {
            let rows = Rows { count, size, most: Cell::default() };
            assert_eq!(pages(&rows, limit), expected, "{count} rows of {size} bytes");
        }
    }

    #[test]
    fn no_more_is_read_at_once_than_a_few_rows() {
        let rows = Rows { count: 200, size: 1 << 20, most: Cell::default() };
        page(&rows, &[7], &[7], 1_000).unwrap();
        assert!(rows.most.get() <= ROWS_AT_ONCE << 20, "{} bytes", rows.most.get());
    }
}
