//! The table, and the rounds behind it.

use super::figures::{figure, machine, median};
use super::measure::{Goal, MEASURES, Measure};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A measure's figures, round by round.
#[derive(Default)]
pub struct Series {
    native: Vec<f64>,
    ours: Vec<f64>,
}

impl Series {
    /// Adds a round's figure.
    pub fn push(&mut self, ours: bool, value: f64) {
        if ours { self.ours.push(value) } else { self.native.push(value) }
    }
}

/// The whole table, with the machine above it.
pub fn markdown(series: &BTreeMap<&'static str, Series>, rounds: usize) -> String {
    let mut text = format!("{}; medians of {rounds} rounds; processor time, but for `posix_spawn`\n\n", machine());
    text.push_str("| measure | tmpfs | Sidestep | result | promised | |\n|---|---:|---:|---:|---:|---|\n");
    for measure in MEASURES {
        if let Some(series) = series.get(measure.name) {
            line(&mut text, measure, median(&series.native), median(&series.ours));
        }
    }
    text
}

fn line(text: &mut String, measure: &Measure, native: f64, ours: f64) {
    let (size, sign) = measure.unit;
    let (result, promised, met) = match measure.goal {
        Goal::TimesAsFast(goal) => {
            (format!("{} x", figure(native / ours)), format!(">= {goal} x"), Some(native / ours >= goal))
        }
        Goal::AddedAtMost(goal) => {
            let added = (ours - native) / size;
            (format!("{added:+.2} {sign}"), format!("<= +{goal} {sign}"), Some(added <= goal))
        }
        Goal::None => (format!("{} x", figure(native / ours)), String::new(), None),
    };
    let verdict = met.map_or("", |met| if met { "met" } else { "**short**" });
    let title = measure.title;
    let (native, ours) = (figure(native / size), figure(ours / size));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "| {title} | {native} {sign} | {ours} {sign} | {result} | {promised} | {verdict} |");
}

/// Every round's figure, in nanoseconds or bytes.
pub fn csv(series: &BTreeMap<&'static str, Series>) -> String {
    let mut text = "measure,round,native,sidestep\n".to_owned();
    for (name, series) in series {
        for (round, (native, ours)) in series.native.iter().zip(&series.ours).enumerate() {
            let _ = writeln!(text, "{name},{},{native},{ours}", round + 1);
        }
    }
    text
}
