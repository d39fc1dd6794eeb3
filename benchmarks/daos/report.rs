//! The tables, and the rounds behind them.

use super::figures::{figure, machine, median};
use super::measure::{Goal, MEASURES, Measure, PARTS, Peer};
use super::sides::{Kind, Sides};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A measure's figures on each side, round by round.
pub type Series = BTreeMap<(&'static str, Kind), Vec<f64>>;

/// The measure that a round's figure belongs to.
pub fn measure(name: &str) -> &'static Measure {
    let found = MEASURES.iter().chain(PARTS).find(|measure| measure.name == name);
    found.unwrap_or_else(|| panic!("{name} is measured, but not in measure.rs"))
}

/// Both tables, with the machine above them.
pub fn markdown(series: &Series, sides: &Sides, rounds: usize) -> String {
    let mut text = format!("{}; {}; medians of {rounds} rounds; wall clock\n\n", machine(), sides.description);
    text.push_str("| measure | libdfs | libpil4dfs | Sidestep | result | promised | |\n");
    text.push_str("|---|---:|---:|---:|---:|---:|---|\n");
    for measure in MEASURES {
        line(&mut text, series, sides, measure, true);
    }
    if PARTS.iter().any(|part| has(series, part)) {
        text.push_str("\n| where the time of `ls` goes | libdfs | libpil4dfs | Sidestep |\n|---|---:|---:|---:|\n");
        for part in PARTS {
            line(&mut text, series, sides, part, false);
        }
    }
    text
}

fn has(series: &Series, measure: &Measure) -> bool {
    series.keys().any(|(name, _)| *name == measure.name)
}

fn line(text: &mut String, series: &Series, sides: &Sides, measure: &Measure, judged: bool) {
    if !has(series, measure) {
        return;
    }
    let (size, sign) = measure.unit;
    let of = |kind: Kind| series.get(&(measure.name, kind)).map(|values| median(values));
    let cell = |kind: Kind| of(kind).map_or("-".to_owned(), |value| format!("{} {sign}", figure(value / size)));
    let cells = [Kind::Libdfs, Kind::Libpil4dfs, Kind::Ours].map(cell).join(" | ");
    let mut row = format!("| {} | {cells} |", measure.title);
    if judged {
        let (result, promised, verdict) = of(Kind::Ours).map_or_else(Default::default, |ours| {
            judge(measure, ours, &of, sides.all.iter().any(|side| side.kind == Kind::Libpil4dfs))
        });
        // Writing to a string cannot fail.
        let _ = write!(row, " {result} | {promised} | {verdict} |");
    }
    let _ = writeln!(text, "{row}");
}

/// What came out, what was promised, and whether that is met.
fn judge(
    measure: &Measure,
    ours: f64,
    of: &dyn Fn(Kind) -> Option<f64>,
    has_pil4dfs: bool,
) -> (String, String, &'static str) {
    let (size, sign) = measure.unit;
    let verdict = |met: bool| if met { "met" } else { "**short**" };
    match measure.goal {
        Goal::TimesAsFast(goal, peer) => {
            let (kind, whom) = match peer {
                Peer::Libpil4dfs if has_pil4dfs => (Kind::Libpil4dfs, "libpil4dfs"),
                Peer::Libpil4dfs | Peer::Libdfs => (Kind::Libdfs, "libdfs"),
            };
            let Some(peer) = of(kind) else { return Default::default() };
            let times = peer / ours;
            (format!("{} x", figure(times)), format!(">= {goal} x {whom}"), verdict(times >= goal))
        }
        Goal::AtMost(goal) => {
            let value = ours / size;
            (format!("{} {sign}", figure(value)), format!("<= {goal} {sign}"), verdict(value <= goal))
        }
        Goal::AddedAtMost(goal) => {
            let Some(peer) = of(Kind::Libdfs) else { return Default::default() };
            let added = (ours - peer) / size;
            (format!("{added:+.2} {sign}"), format!("<= +{goal} {sign} over libdfs"), verdict(added <= goal))
        }
        Goal::None => Default::default(),
    }
}

/// Every round's figure, in nanoseconds or bytes.
pub fn csv(series: &Series) -> String {
    let mut text = "measure,side,round,value\n".to_owned();
    for ((name, kind), values) in series {
        let side = match kind {
            Kind::Libdfs => "libdfs",
            Kind::Libpil4dfs => "libpil4dfs",
            Kind::Ours => "sidestep",
        };
        for (round, value) in values.iter().enumerate() {
            let _ = writeln!(text, "{name},{side},{},{value}", round + 1);
        }
    }
    text
}
