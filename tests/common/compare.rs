//! Two results side by side.

use super::process::Outcome;

/// Lines of a difference that are shown; the rest is counted.
const LINES_SHOWN_MAX: usize = 40;

/// Compares an outcome and the trees that it left.
pub fn differences(native: &(Outcome, String), ours: &(Outcome, String)) -> Result<(), String> {
    let parts = [
        ("exit", &native.0.status, &ours.0.status),
        ("stdout", &native.0.stdout, &ours.0.stdout),
        ("stderr", &native.0.stderr, &ours.0.stderr),
        ("trees", &native.1, &ours.1),
    ];
    let report: String = parts
        .iter()
        .filter(|(_, native, ours)| native != ours)
        .map(|(name, native, ours)| format!("--- {name}: kernel (-), Sidestep (+)\n{}", line_diff(native, ours)))
        .collect();
    if native.0.timed_out {
        return Err(format!("hung natively: the case is at fault\n{}", native.0.stderr));
    }
    if report.is_empty() { Ok(()) } else { Err(report) }
}

/// A line diff by the longest common subsequence of what lies between the common head and tail.
pub fn line_diff(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut lines = Vec::new();
    if head > 0 {
        lines.push(format!("  {}", old[head - 1]));
    }
    if old_middle.len() * new_middle.len() > 4_000_000 {
        lines.extend(old_middle.iter().map(|line| format!("- {line}")).take(LINES_SHOWN_MAX));
        lines.extend(new_middle.iter().map(|line| format!("+ {line}")).take(LINES_SHOWN_MAX));
    } else {
        lines.extend(aligned(old_middle, new_middle));
    }
    let hidden = lines.len().saturating_sub(LINES_SHOWN_MAX);
    lines.truncate(LINES_SHOWN_MAX);
    if hidden > 0 {
        lines.push(format!("  ... and {hidden} lines more"));
    }
    lines.join("\n") + "\n"
}

fn aligned(old: &[&str], new: &[&str]) -> Vec<String> {
    let mut common = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!("  {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("- {}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", new[j]));
            j += 1;
        }
    }
    lines
}
