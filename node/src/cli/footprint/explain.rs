//! `kerbholz footprint explain`: where a lot's footprint comes from.

use super::super::context::Context;
use super::super::error::CliError;
use super::super::output::{Output, Report, table};
use super::super::view;
use super::books::{self, CopyArgs};
use super::tree::{self, Cut, share};
use clap::Args;
use kerbholz_client::ledger::explain::View;
use kerbholz_client::ledger::footprint::{Dimension, Footprint};
use kerbholz_client::ledger::id::LotId;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_node::explain::{Document, Explained, Group, Line, Names, explained, page};
use kerbholz_node::files;
use std::path::PathBuf;

/// Most hot spots that are listed.
const HOT_SPOTS: usize = 10;

/// Which lot, and how it is shown.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  kerbholz footprint explain bracket --as press\n  kerbholz footprint explain \
    bracket --as press --html bracket.html\n  kerbholz footprint explain 3f2a91 --by water --cutoff 5"
)]
pub struct ExplainArgs {
    /// The lot: its id, the beginning of one, or a product
    lot: String,
    /// Whose lots a product's name refers to
    #[arg(long = "as", value_name = "MEMBER")]
    owner: Option<String>,
    /// The dimension of shares and order, as `kerbholz footprint` names it
    #[arg(long, value_name = "DIMENSION", default_value = "climate", value_parser = dimension)]
    by: Dimension,
    /// Leave branches of the tree below so many per cent out (they are counted and added up)
    #[arg(long, value_name = "PERCENT", default_value = "1", value_parser = percent)]
    cutoff: u64,
    /// Show the tree as it was booked, before restatements
    #[arg(long)]
    as_booked: bool,
    /// Most lots to go through
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000)]
    lots: usize,
    /// Also write a page to look at, complete in one file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    copy: CopyArgs,
}

impl ExplainArgs {
    /// The view that is shown first.
    const fn view(&self) -> View {
        if self.as_booked { View::AsBooked } else { View::AsRestated }
    }
}

/// A dimension by its name.
pub fn dimension(text: &str) -> Result<Dimension, String> {
    let named = |one: &&Dimension| one.name() == text;
    Dimension::ALL.iter().find(named).copied().ok_or_else(|| {
        let names: Vec<&str> = Dimension::ALL.iter().map(|one| one.name()).collect();
        format!("there is no such dimension: take one of {}", names.join("; "))
    })
}

/// Per cent, with at most four decimals, as millionths.
fn percent(text: &str) -> Result<u64, String> {
    let wrong = || "give per cent from 0 to 100, e.g. 0.5".to_owned();
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 4 || whole.is_empty() {
        return Err(wrong());
    }
    let digits = format!("{whole}{decimals:0<4}");
    let ppm: u64 = digits.parse().map_err(|_| wrong())?;
    if ppm <= 1_000_000 { Ok(ppm) } else { Err(wrong()) }
}

/// Explains it.
pub async fn run(
    context: &Context,
    args: ExplainArgs,
    output: &Output,
) -> Result<Report, CliError> {
    let (lot, state): (LotId, Memory) = match args.copy.replay(output)? {
        Some(state) => (books::lot_in(&state, args.owner.as_deref(), &args.lot)?, state),
        None => {
            let asked = (args.lot.as_str(), args.owner.as_deref());
            books::explaining(context, asked, args.lots).await?
        }
    };
    let found = explained(&state, lot, args.lots)?;
    let found = found.ok_or_else(|| CliError::no_such("lot", &args.lot, "kerbholz lot list"))?;
    if let Some(path) = &args.html {
        let page = page(&found.document).map_err(|error| CliError::Other(error.to_string()))?;
        files::write(path, page.as_bytes(), false)?;
        output.remark(&format!("Written: {}", path.display()));
    }
    let json = serde_json::to_value(&found.document)
        .map_err(|error| CliError::Other(format!("the explanation cannot be written: {error}")))?;
    let text = text(&found, &mut Names::new(&state), &args)?;
    Ok(Report::new(text, json))
}

fn text(found: &Explained, names: &mut Names<'_>, args: &ExplainArgs) -> Result<String, CliError> {
    let (document, by, view) = (&found.document, args.by, args.view());
    let cut = Cut { dimension: by, from_ppm: args.cutoff, view };
    let of = if args.as_booked { &found.as_booked } else { &found.as_restated };
    names.learn(of);
    let mut parts = vec![head(document, by)];
    parts.extend(match has_shares(document, by) {
        true => shares(document, &tree::tree(of, names, cut)?, args),
        false => vec![format!("No source books anything in {}: see --by.", by.name())],
    });
    parts.push(format!("EVERY DIMENSION, AND ITS LARGEST SOURCE\n{}", dimensions(document, view)));
    Ok(parts.join("\n\n"))
}

/// Whether there is anything to share out in a dimension, in either view.
fn has_shares(document: &Document, by: Dimension) -> bool {
    let booked = |view, line: &Line| line.share.of(view).get(by) != 0;
    let views = [View::AsBooked, View::AsRestated];
    views.iter().any(|view| document.entries.iter().any(|line| booked(*view, line)))
}

/// The shares in one dimension: sums, hot spots, tree.
fn shares(document: &Document, tree: &[String], args: &ExplainArgs) -> Vec<String> {
    let (by, view) = (args.by, args.view());
    let mut parts = Vec::new();
    for (title, groups) in [
        ("stage", &document.by_stage),
        ("evidence", &document.by_tier),
        ("organisation", &document.by_organisation),
        ("kind of source", &document.by_kind),
    ] {
        parts.push(grouped(document, (title, groups), by, view));
    }
    parts.push(format!("HOT SPOTS\n{}", hot_spots(document, by, view)));
    let which = if document.restated && args.as_booked { ", as booked" } else { "" };
    parts.push(format!("THE TREE OF {}{which}\n{}", by.name().to_uppercase(), tree.join("\n")));
    parts
}

fn head(document: &Document, by: Dimension) -> String {
    let shares = &document.footprint;
    let figure = |footprint: &Footprint| view::declared(footprint, by);
    let mut head = format!(
        "Lot {}: {} {}, of {}\n{}: {}",
        document.lot.short(),
        view::quantity(document.whole),
        document.product,
        document.owner,
        by.name(),
        figure(&shares.as_restated),
    );
    if document.restated {
        head.push_str(&format!(" as restated, {} as booked", figure(&shares.as_booked)));
    }
    if document.whole != document.remains {
        let remains = view::quantity(document.remains);
        head.push_str(&format!("\nAll shares are of the whole; {remains} of it remain."));
    }
    if shares.as_restated.undeclared.contains(by) {
        head.push_str("\nAttention: some of its sources do not declare this dimension (below).");
    }
    if document.gwp_mixed {
        head.push_str(
            "\nAttention: its climate figures use the warming potentials of several IPCC reports.",
        );
    }
    if !document.complete {
        let lots = document.lots;
        head.push_str(&format!("\nOnly the nearest {lots} lots were opened: see --lots."));
    }
    head
}

/// The groups, largest first, with their shares; both views where they differ.
fn grouped(
    document: &Document,
    (title, groups): (&str, &[Group]),
    by: Dimension,
    view: View,
) -> String {
    let whole = document.footprint.of(view).get(by);
    let booked = |group: &Group| group.share.of(view).get(by) | group.share.as_booked.get(by);
    let mut groups: Vec<&Group> = groups.iter().filter(|group| booked(group) != 0).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.share.of(view).get(by).unsigned_abs()));
    let rows = groups.iter().map(|group| {
        let value = group.share.of(view).get(by);
        let mut row = vec![group.name.clone(), view::component(by, value), share(value, whole)];
        if document.restated {
            row.push(view::component(by, group.share.as_booked.get(by)));
        }
        row
    });
    let by_title = format!("by {title}");
    let mut header = vec![by_title.as_str(), by.name(), "share"];
    header.extend(document.restated.then_some("as booked"));
    table(&header, rows.collect(), &[1, 2, 3][..header.len() - 1])
}

fn hot_spots(document: &Document, by: Dimension, view: View) -> String {
    let whole = document.footprint.of(view).get(by);
    let value = |line: &Line| line.share.of(view).get(by);
    let mut lines: Vec<&Line> = document.entries.iter().filter(|line| value(line) != 0).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(value(line).unsigned_abs()));
    let mut sum = 0_i128;
    let rows = lines.iter().take(HOT_SPOTS).map(|line| {
        sum = sum.saturating_add(value(line));
        let source = &line.source;
        let factor = source.factor_in(view);
        let standing = factor.and_then(|factor| factor.standing);
        let standing = standing.map(|it| format!("{it:?}").to_lowercase()).unwrap_or_default();
        let tier = source.tier_in(view).map(kerbholz_node::explain::tier).unwrap_or_default();
        let mut row = vec![
            source.what.clone(),
            line.stage.clone(),
            factor.map(|factor| factor.code.clone()).unwrap_or_default(),
            standing,
            tier.to_owned(),
            view::component(by, value(line)),
            share(value(line), whole),
            share(sum, whole),
        ];
        if document.restated {
            row.push(view::component(by, line.share.as_booked.get(by)));
        }
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let mut header =
        vec!["source", "came in at", "factor", "standing", "tier", by.name(), "share", "together"];
    header.extend(document.restated.then_some("as booked"));
    let mut text = table(&header, rows, &[5, 6, 7, 8][..header.len() - 5]);
    if lines.len() > HOT_SPOTS {
        text.push_str(&format!("\nand {} smaller", lines.len() - HOT_SPOTS));
    }
    text
}

/// All dimensions: their sums, the largest source of each, and who leaves it open.
fn dimensions(document: &Document, view: View) -> String {
    let footprint = document.footprint.of(view);
    let rows = Dimension::ALL.iter().filter(|one| !one.name().contains(" x ")).map(|one| {
        let value = footprint.get(*one);
        let size = |line: &&Line| line.share.of(view).get(*one).unsigned_abs();
        let largest = document.entries.iter().max_by_key(size).filter(|line| size(line) > 0);
        let open = document.undeclared.iter().find(|open| open.dimension == one.name());
        vec![
            one.name().to_owned(),
            view::declared(footprint, *one),
            largest.map(|line| line.source.name()).unwrap_or_default(),
            largest.map(|line| share(line.share.of(view).get(*one), value)).unwrap_or_default(),
            open.map(|open| format!("{} of {}", open.entries, document.entries.len()))
                .unwrap_or_default(),
        ]
    });
    let header = ["dimension", "value", "largest source", "share", "not declared by"];
    table(&header, rows.collect(), &[1, 3])
}
