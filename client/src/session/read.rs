//! What a session reads: rows by id, by key and by prefix, and what follows from them.

use super::{Session, unexpected};
use crate::error::ClientError;
use crate::protocol::{Answer, KEYS_MAX, ROWS_MAX, Request};
use kerbholz_ledger::codec;
use kerbholz_ledger::id::{LotId, MemberId, OrderId, TransformationId};
use kerbholz_ledger::rows::{LotRow, OrderRow, Row, Table, TransformationRow, key};
use serde::de::DeserializeOwned;

/// Most lots that [`Session::lots_of`] lists.
const LOTS_MAX: usize = 100_000;

impl Session {
    /// An order.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when there is none of this id.
    pub async fn order(&self, id: OrderId) -> Result<OrderRow, ClientError> {
        let row = self.row(key(Table::Order, &[id.as_bytes()])).await?;
        row.ok_or(ClientError::Unknown("order"))
    }

    /// A lot.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when there is none of this id.
    pub async fn lot(&self, id: LotId) -> Result<LotRow, ClientError> {
        let row = self.row(key(Table::Lot, &[id.as_bytes()])).await?;
        row.ok_or(ClientError::Unknown("lot"))
    }

    /// A transformation.
    ///
    /// # Errors
    /// [`ClientError::Unknown`] when there is none of this id.
    pub async fn transformation(
        &self,
        id: TransformationId,
    ) -> Result<TransformationRow, ClientError> {
        let row = self.row(key(Table::Transformation, &[id.as_bytes()])).await?;
        row.ok_or(ClientError::Unknown("transformation"))
    }

    /// The row of a key, decoded (see [`kerbholz_ledger::rows`]).
    ///
    /// # Errors
    /// [`ClientError::BadAnswer`] when it is not of this type.
    pub async fn row<T: DeserializeOwned>(&self, key: Vec<u8>) -> Result<Option<T>, ClientError> {
        self.rows(vec![key]).await?.pop().ok_or(ClientError::BadAnswer)
    }

    /// The rows of several keys of one type, in the order of the keys.
    ///
    /// # Errors
    /// [`ClientError::BadAnswer`] when one is not of this type.
    pub async fn rows<T: DeserializeOwned>(
        &self,
        keys: Vec<Vec<u8>>,
    ) -> Result<Vec<Option<T>>, ClientError> {
        let values = self.values(&keys).await?.into_iter();
        let decoded = values.map(|value| value.map(|bytes| codec::decode_trusted(&bytes)));
        let decoded = decoded.map(|row| row.transpose().map_err(|_| ClientError::BadAnswer));
        decoded.collect()
    }

    /// The bytes of the rows of several keys, in the order of the keys.
    ///
    /// # Errors
    /// [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn values(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, ClientError> {
        let mut values = Vec::with_capacity(keys.len());
        while let Some(rest) = keys.get(values.len()..).filter(|rest| !rest.is_empty()) {
            let asked = rest.get(..KEYS_MAX).unwrap_or(rest);
            match self.call(Request::Get { keys: asked.to_vec() }).await? {
                Answer::Rows(some) if (1..=asked.len()).contains(&some.len()) => {
                    values.extend(some)
                }
                other => return Err(unexpected(other)),
            }
        }
        Ok(values)
    }

    /// Up to `limit` rows whose key starts with `prefix` and is not below `from`, ascending.
    ///
    /// # Errors
    /// [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn scan(
        &self,
        prefix: Vec<u8>,
        from: Vec<u8>,
        limit: u32,
    ) -> Result<Vec<Row>, ClientError> {
        let limit = limit.min(ROWS_MAX);
        match self.call(Request::Scan { prefix, from, limit }).await? {
            Answer::Page(rows) => Ok(rows),
            other => Err(unexpected(other)),
        }
    }

    /// All rows whose key starts with `prefix`, ascending, each without the prefix; at most `most`.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn scan_all(&self, prefix: Vec<u8>, most: usize) -> Result<Vec<Row>, ClientError> {
        let mut rows = Vec::new();
        let mut from = prefix.clone();
        while rows.len() < most {
            let page = self.scan(prefix.clone(), from, ROWS_MAX).await?;
            // Pages are bounded by bytes too: only an empty one is the last.
            let Some((last, _)) = page.last() else { break };
            from = [last.as_slice(), &[0]].concat();
            for (key, value) in page {
                let rest = key.get(prefix.len()..).ok_or(ClientError::BadAnswer)?;
                rows.push((rest.to_vec(), value));
            }
        }
        rows.truncate(most);
        Ok(rows)
    }

    /// The lots that a member owns and of which something remains, oldest first.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn lots_of(&self, owner: MemberId) -> Result<Vec<(LotId, LotRow)>, ClientError> {
        let index = self.scan_all(key(Table::LotByOwner, &[owner.as_bytes()]), LOTS_MAX).await?;
        let id = |(key, _): Row| key.try_into().map(LotId::new).map_err(|_| ClientError::BadAnswer);
        let ids: Vec<LotId> = index.into_iter().map(id).collect::<Result<_, _>>()?;
        let keys = ids.iter().map(|id| key(Table::Lot, &[id.as_bytes()])).collect();
        let rows: Vec<Option<LotRow>> = self.rows(keys).await?;
        // A lot may have been emptied since the index was read.
        let lots = ids.into_iter().zip(rows).filter_map(|(id, row)| Some((id, row?)));
        let mut lots: Vec<_> = lots.filter(|(_, row)| row.quantity.amount > 0).collect();
        lots.sort_by_key(|(id, row)| (row.created_at, *id));
        Ok(lots)
    }
}
