//! What was booked beside what stands, where a restatement has come to it.

use super::super::error::CliError;
use super::super::output::table;
use super::super::view;
use kerbholz_client::ledger::footprint::{Dimension, Footprint, Overflow};
use kerbholz_client::ledger::id::LotId;
use kerbholz_client::ledger::query::Restated;
use kerbholz_client::ledger::rows::{
    BookedRow, CompletedOrder, LotRow, ReadError, Table, booked_key, key,
};
use kerbholz_client::{ClientError, Session};
use serde_json::{Value, json};

/// The whole of a lot in both views, if it was restated.
pub async fn lot(session: &Session, id: LotId, row: &LotRow) -> Result<Option<Restated>, CliError> {
    let entry = key(Table::Lot, &[id.as_bytes()]);
    let booked: Option<BookedRow> = session.row(booked_key(&entry)).await?;
    let booked = booked.and_then(|row| row.footprints.into_iter().next());
    let Some(as_booked) = booked else { return Ok(None) };
    let whole = session.row(key(Table::Whole, &[id.as_bytes()])).await?;
    let as_restated = match (whole, row.uses) {
        (Some(whole), _) => whole,
        (None, 0) => row.footprint.clone(),
        (None, _) => return Err(ClientError::BadAnswer.into()),
    };
    Ok(differs(Restated { as_booked, as_restated }))
}

/// What a completion put into its outputs in both views, if it was restated.
pub async fn order(
    session: &Session,
    completed: &CompletedOrder,
) -> Result<Option<Restated>, CliError> {
    let made = session.transformation(completed.transformation).await?;
    let damaged = |_: Overflow| ReadError("a transformation does not add up".into());
    let (as_booked, as_restated) = (completed.footprint.clone(), made.total().map_err(damaged)?);
    Ok(differs(Restated { as_booked, as_restated }))
}

fn differs(both: Restated) -> Option<Restated> {
    Some(both).filter(|both| both.as_booked != both.as_restated)
}

/// Both views of every dimension that differs, for people.
pub fn text(both: &Restated) -> String {
    let shown = |footprint: &Footprint, dimension| match footprint.declared(dimension) {
        Some(value) => view::component(dimension, value),
        None => "not declared".to_owned(),
    };
    let changed = |one: &&Dimension| {
        let (booked, restated) = (&both.as_booked, &both.as_restated);
        booked.get(**one) != restated.get(**one)
            || booked.declared(**one).is_some() != restated.declared(**one).is_some()
    };
    let rows = Dimension::ALL.iter().filter(changed).map(|one| {
        let difference = both.as_restated.get(*one).saturating_sub(both.as_booked.get(*one));
        let sign = if difference > 0 { "+" } else { "" };
        vec![
            one.name().to_owned(),
            shown(&both.as_booked, *one),
            shown(&both.as_restated, *one),
            format!("{sign}{}", view::component(*one, difference)),
        ]
    });
    table(&["dimension", "as booked", "as restated", "difference"], rows.collect(), &[1, 2, 3])
}

/// Both views, for programs; `null` where nothing was restated.
pub fn json(both: Option<&Restated>) -> Value {
    both.map_or(Value::Null, |both| {
        json!({
            "as_booked": view::footprint(&both.as_booked),
            "as_restated": view::footprint(&both.as_restated),
        })
    })
}
