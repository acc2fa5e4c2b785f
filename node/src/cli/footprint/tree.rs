//! An explanation as a tree for people: from the lot to its sources, the largest branches first, each
//! with its share. Small branches are counted and added up, so that nothing is silently left out.

use super::super::view;
use kerbholz_client::ledger::explain::{Explanation, View, What};
use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::quantity::Quantity;
use kerbholz_client::ledger::rows::{Origin, ReadError};
use kerbholz_node::explain::{Names, tier};

/// Most lines.
const LINES_MAX: usize = 300;

/// What is shown of a tree.
#[derive(Clone, Copy)]
pub struct Cut {
    /// In which dimension.
    pub dimension: Dimension,
    /// From which share of the whole on, in millionths.
    pub from_ppm: u64,
    /// The view that the explanation is of.
    pub view: View,
}

/// A branch that is to be shown, its children after it.
struct Branch {
    place: usize,
    value: i128,
    /// How much of it went in, where its place does not say.
    amount: Option<Quantity>,
    /// What stands before the line, and before those of its children.
    lead: (String, String),
}

/// The tree of an explanation.
///
/// # Errors
/// [`ReadError`] when a name cannot be read.
pub fn tree(of: &Explanation, names: &mut Names<'_>, cut: Cut) -> Result<Vec<String>, ReadError> {
    let whole = of.footprint().get(cut.dimension);
    let least = whole.unsigned_abs().saturating_mul(u128::from(cut.from_ppm)) / 1_000_000;
    let root = Branch { place: 0, value: whole, amount: None, lead: Default::default() };
    let (mut lines, mut stack) = (Vec::new(), vec![Ok(root)]);
    while let Some(next) = stack.pop() {
        if lines.len() >= LINES_MAX {
            lines.push(format!("... {} branches more: see --cutoff", stack.len() + 1));
            break;
        }
        let branch = match next {
            Ok(branch) => branch,
            Err(line) => {
                lines.push(line);
                continue;
            }
        };
        let (text, end) = describe(of, names, &branch, cut.view)?;
        let share = share(branch.value, whole);
        let value = view::component(cut.dimension, branch.value);
        lines.push(format!("{share:>7}  {value:>16}  {}{text}", branch.lead.0));
        stack.extend(children(of, cut, &branch, end, (whole, least)));
    }
    Ok(lines)
}

/// The children of a branch, to be popped in their order; a line for those too small to show.
fn children(
    of: &Explanation,
    cut: Cut,
    branch: &Branch,
    end: usize,
    (whole, least): (i128, u128),
) -> Vec<Result<Branch, String>> {
    let inputs = of.transformation(end).map_or(&[][..], |row| &row.inputs);
    let amounts = inputs.iter().map(|taken| Some(taken.portion.quantity));
    let amounts = amounts.chain(std::iter::repeat(None));
    let parts = of.branches(end, branch.value, cut.dimension).into_iter().zip(amounts);
    // What has nothing of this dimension is no branch of its tree.
    let (mut shown, small): (Vec<_>, Vec<_>) = parts
        .filter(|((_, value), _)| *value != 0)
        .partition(|((_, value), _)| value.unsigned_abs() >= least);
    shown.sort_by_key(|((_, value), _)| std::cmp::Reverse(value.unsigned_abs()));
    let below = &branch.lead.1;
    let rest: i128 = small.iter().map(|((_, value), _)| *value).sum();
    let mut children = Vec::new();
    if !small.is_empty() {
        let (part, value) = (share(rest, whole), view::component(cut.dimension, rest));
        let count = small.len();
        children.push(Err(format!("{part:>7}  {value:>16}  {below}└ {count} smaller")));
    }
    let last = if small.is_empty() { shown.len().saturating_sub(1) } else { shown.len() };
    for (index, ((place, value), amount)) in shown.into_iter().enumerate().rev() {
        let (own, next) = if index == last { ("└ ", "  ") } else { ("├ ", "│ ") };
        let lead = (format!("{below}{own}"), format!("{below}{next}"));
        children.push(Ok(Branch { place, value, amount, lead }));
    }
    children
}

/// What a branch is, and the place where it goes on: through all hands, and from a lot to its making.
fn describe(
    of: &Explanation,
    names: &mut Names<'_>,
    branch: &Branch,
    view: View,
) -> Result<(String, usize), ReadError> {
    let mut end = branch.place;
    while let Some(at) = of.places.get(end) {
        let What::Lot(_, lot) = &at.what else { break };
        let passes = matches!(lot.origin, Origin::Part { .. } | Origin::Made { .. });
        let Some(from) = at.from.first().filter(|_| passes) else { break };
        end = from.place;
    }
    let product = match of.places.get(branch.place).map(|at| &at.what) {
        Some(What::Lot(_, lot)) => {
            let whole = Quantity::new(lot.original, lot.quantity.unit);
            let amount = branch.amount.unwrap_or(whole);
            Some(format!("{} {}", view::quantity(amount), lot.product))
        }
        _ => None,
    };
    if let Some(What::Transformation(id, row)) = of.places.get(end).map(|at| &at.what) {
        let step = names.step(*id, row)?;
        let organisation = names.organisation(row.machine)?;
        let what = product.unwrap_or_else(|| "work".to_owned());
        return Ok((format!("{what} — {step} of {organisation}"), end));
    }
    let source = names.source(of, end, view)?;
    let what = product.unwrap_or_else(|| match source.amount {
        Some(amount) if source.kind != "waste" => {
            format!("{} {}", view::amount(amount.amount, amount.unit), source.what)
        }
        _ => source.what.clone(),
    });
    let factor = match &source.factor {
        Some(factor) => factor.code.clone(),
        None if source.kind == "material" || source.kind == "energy" => {
            "a supplier's figures".into()
        }
        None => String::new(),
    };
    let known = source.tier.map(tier).unwrap_or_default();
    let words = [source.by.as_str(), factor.as_str(), known];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Ok((format!("{what} — {}", words.join(", ")), end))
}

/// A share of a whole in tenths of a per cent, rounded half away from zero.
pub fn share(value: i128, whole: i128) -> String {
    if whole == 0 {
        return String::new();
    }
    let (size, all) = (value.unsigned_abs(), whole.unsigned_abs());
    let tenths = match size.checked_mul(1_000).and_then(|size| size.checked_add(all / 2)) {
        Some(thousands) => thousands / all,
        // So large a whole has a thousandth.
        None => size / (all / 1_000).max(1),
    };
    let sign = if (value < 0) == (whole < 0) || tenths == 0 { "" } else { "-" };
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}
