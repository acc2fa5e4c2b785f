//! The order tree: what went into what, with the climate footprint of each branch.

use super::{Paint, line};
use crate::demo::flows::Branch;

/// Columns of the climate figure.
const FIGURE: usize = 14;

/// Shows a tree.
pub(super) fn show(out: &mut String, tree: &Branch, width: u16, paint: Paint) {
    branch(out, tree, ("", ""), usize::from(width), paint);
}

/// `lead` is what stands before this branch, `below` what stands before its children.
fn branch(out: &mut String, of: &Branch, (lead, below): (&str, &str), width: usize, paint: Paint) {
    let room = width.saturating_sub(FIGURE + 4);
    let head = format!("{lead}{} {}", of.quantity, of.what);
    let used = head.chars().count();
    let how = shortened(&of.how, room.saturating_sub(used + 2));
    let gap = room.saturating_sub(used + 2 + how.chars().count()).max(1);
    let text = format!("{head}  {}{}{:>FIGURE$}", paint.dim(&how), " ".repeat(gap), of.readable);
    line(out, &text);
    let last = of.from.len().saturating_sub(1);
    for (index, child) in of.from.iter().enumerate() {
        let (branch_lead, next) = if index == last { ("└ ", "  ") } else { ("├ ", "│ ") };
        let (lead, next) = (format!("{below}{branch_lead}"), format!("{below}{next}"));
        branch(out, child, (&lead, &next), width, paint);
    }
}

fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}
