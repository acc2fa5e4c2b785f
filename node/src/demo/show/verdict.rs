//! The study's expectations: how each came out, which figures decided it, and which figure it hangs
//! on, with that figure's range in the literature.

use super::{Paint, line, wrapped};
use crate::scenario::{Judgement, RangeEffect, Sensitivity, Verdict};
use kerbholz_ledger::factor::Standing;

pub(super) fn show(out: &mut String, verdict: &Verdict, width: u16, paint: Paint) {
    let room = usize::from(width).saturating_sub(12);
    let (mark, outcome) = match verdict.outcome {
        Judgement::Holds => (paint.green("●"), paint.green("holds")),
        Judgement::DoesNotHold => (paint.yellow("○"), paint.yellow("does not hold")),
        Judgement::CannotBeJudged => (paint.dim("◌"), paint.dim("cannot be judged")),
    };
    for (index, text) in wrapped(&verdict.says, room).iter().enumerate() {
        if index == 0 {
            line(out, &format!("{mark} {:<4} {text}", verdict.id));
        } else {
            line(out, &format!("       {text}"));
        }
    }
    let because = format!("because {}", verdict.because);
    for (index, text) in wrapped(&because, room.saturating_sub(18)).iter().enumerate() {
        if index == 0 {
            line(out, &format!("       {outcome}: {}", paint.dim(text)));
        } else {
            line(out, &format!("       {}", paint.dim(text)));
        }
    }
    let mut put = |text: &str| {
        for (index, text) in wrapped(text, room.saturating_sub(3)).iter().enumerate() {
            let indent = if index == 0 { "" } else { "  " };
            line(out, &format!("       {}", paint.dim(&format!("{indent}{text}"))));
        }
    };
    if !verdict.note.is_empty() {
        put(&verdict.note);
    }
    if let Some(most) = &verdict.most_sensitive {
        put(&sensitivity(most));
    }
    let most = verdict.most_sensitive.as_ref().map(|most| most.of.as_str());
    for other in verdict.could_change.iter().filter(|other| Some(other.of.as_str()) != most) {
        if let Some(range) = &other.range {
            let (of, effect) = (&other.of, effect(range));
            put(&format!("another outcome within the range of {of} ({}): {effect}", other.value));
        }
    }
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Verified => "read in the source",
        Standing::Quoted => "quoted",
        Standing::Unverified => "unverified",
        Standing::Proxy => "proxy",
    }
}

/// The figure that the outcome hangs on most.
fn sensitivity(of: &Sensitivity) -> String {
    let (low, high) = &of.varied;
    let mut text = format!(
        "most sensitive to {} ({}; {}, {}): ±10 % make it {low} and {high}",
        of.of,
        of.value,
        brief(&of.source),
        standing(of.standing),
    );
    text.push_str(&match &of.range {
        Some(range) => format!("; in the literature {}", effect(range)),
        None => "; no range of it is given".to_owned(),
    });
    text
}

/// What the range of a figure does.
fn effect(range: &RangeEffect) -> String {
    let (low, high) = &range.judged;
    let note = if range.note.is_empty() {
        String::new()
    } else {
        format!("; {}", range.note.trim_end_matches('.'))
    };
    format!(
        "from {} to {} ({}, {}{note}) it is {low} ({}) and {high} ({})",
        range.low,
        range.high,
        brief(&range.source),
        standing(range.standing),
        range.outcomes.0,
        range.outcomes.1,
    )
}

/// A citation as short as it stays clear: who, and when. The JSON has it whole.
fn brief(citation: &str) -> String {
    let before = citation.split(';').next().unwrap_or_default();
    let year = before.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at);
    let year = year.into_iter().find(|at| {
        let digits = before.get(*at..at + 4).unwrap_or_default();
        let ends =
            !before.get(at + 4..).unwrap_or_default().starts_with(|c: char| c.is_ascii_digit());
        digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) && ends
    });
    let Some(at) = year else { return before.to_owned() };
    let (who, when) = (before.get(..at).unwrap_or_default().trim_end(), &before[at..at + 4]);
    match who.split(", ").collect::<Vec<_>>().as_slice() {
        [first, _, _, ..] if !first.contains(' ') => format!("{first} et al. {when}"),
        _ if who.contains(':') => before.to_owned(),
        _ => format!("{who} {when}"),
    }
}

#[cfg(test)]
mod tests {
    use super::brief;

    #[test]
    fn citations_are_cut_to_who_and_when() {
        let cases = [
            ("Baumers, Tuck, Wildman 2011, Energy Inputs", "Baumers et al. 2011"),
            ("Helms and Lambrecht 2006, The Potential", "Helms and Lambrecht 2006"),
            ("DESNZ/DEFRA 2025, UK Government; no. 7; data of 2025", "DESNZ/DEFRA 2025"),
            ("Assumed for this file", "Assumed for this file"),
            ("From Morão 2019 (0.5) to Groot 2010", "From Morão 2019"),
        ];
        for (citation, short) in cases {
            assert_eq!(brief(citation), short);
        }
    }
}
