//! What the network did: finality, bytes, processor time, memory, energy by a stated model.

use super::{Paint, heading, paragraph, put, row, table};
use crate::demo::findings::Findings;
use crate::demo::timing::Finality;
use crate::demo::units;

pub(super) fn show(out: &mut String, findings: &Findings, width: u16, paint: Paint) {
    heading(out, "What the network did", paint);
    let replay = &findings.replay;
    let amounts = format!(
        "{} transactions ({} refused) in {} commits of {} blocks, {} of blocks.",
        replay.transactions,
        replay.rejected,
        replay.commits,
        replay.blocks,
        units::bytes(replay.block_bytes),
    );
    paragraph(out, &amounts, width, str::to_owned);
    out.push('\n');
    finality(out, findings, width);
    out.push('\n');
    authorities(out, findings, width);
    model(out, findings, width);
}

fn finality(out: &mut String, findings: &Findings, width: u16) {
    let mut finality =
        table(["finality, seen by the clients", "transactions", "p50", "p99", "max"]);
    for (name, of) in [
        ("while all four ran", findings.network.finality_all),
        ("while one was down", findings.network.finality_one_down),
    ] {
        let Finality { transactions, p50_ms, p99_ms, max_ms } = of;
        let ms = |value: f64| format!("{value:.0} ms");
        row(
            &mut finality,
            &[name.to_owned(), transactions.to_string(), ms(p50_ms), ms(p99_ms), ms(max_ms)],
        );
    }
    put(out, &mut finality, width);
}

fn authorities(out: &mut String, findings: &Findings, width: u16) {
    let mut authorities =
        table(["authority", "processes", "sent", "received", "CPU", "most memory"]);
    for authority in &findings.network.authorities {
        let processes: Vec<String> = authority.processes.iter().map(u32::to_string).collect();
        row(
            &mut authorities,
            &[
                authority.name.clone(),
                processes.join(", "),
                units::bytes(authority.bytes_sent),
                units::bytes(authority.bytes_received),
                format!("{:.1} s", super::seconds(authority.cpu_ms)),
                units::bytes(authority.resident_max_bytes),
            ],
        );
    }
    put(out, &mut authorities, width);
}

/// Energy is not measured here, so the model and its assumption are said.
fn model(out: &mut String, findings: &Findings, width: u16) {
    let replay = &findings.replay;
    let network = &findings.network;
    let model = format!(
        "Energy, a model and no measurement: {:.1} s of processor time x {} W per core = {} J, {} J \
         per transaction.",
        network.cpu_seconds,
        network.watts_per_core_modelled,
        units::number(network.joules_modelled),
        units::number(network.joules_per_transaction_modelled),
    );
    out.push('\n');
    paragraph(out, &model, width, str::to_owned);
    let speed = format!(
        "Replay: {:.2} s, {} transactions per second; balances compared after {} commits.",
        replay.seconds,
        units::number(replay.transactions_per_second),
        replay.balances_checked,
    );
    paragraph(out, &speed, width, str::to_owned);
}
