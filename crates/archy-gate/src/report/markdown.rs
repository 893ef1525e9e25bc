//! A report over a whole run of the gate: which app, which phase, who is to blame.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::seconds;
use crate::document::Document;
use crate::outcome::{Blame, Outcome, Verdict};
use crate::phase::PHASES;

/// A run in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The verdict over all.
    pub verdict: Verdict,
    /// Apps.
    pub apps: usize,
    /// Iterations.
    pub iterations: usize,
    /// Iterations at the end of the run in which nothing failed.
    pub green_in_a_row: usize,
    /// Phases that passed.
    pub passed: usize,
    /// Phases that were skipped.
    pub skipped: usize,
    /// Failures by who is to blame.
    pub failures: BTreeMap<&'static str, usize>,
    /// Harms that hit something.
    pub harms: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(documents: &[Document]) -> Self {
        let lives: Vec<_> = documents.iter().flat_map(|document| &document.payload.lives).collect();
        let iterations = documents.iter().map(|d| d.payload.lives.len()).max().unwrap_or(0);
        let start = if documents.is_empty() { Verdict::Incomplete } else { Verdict::Passed };
        let mut summary = Self {
            verdict: documents.iter().fold(start, |v, d| v.and(d.payload.verdict)),
            apps: documents.len(),
            iterations,
            green_in_a_row: green_in_a_row(documents, iterations),
            passed: 0,
            skipped: 0,
            failures: BTreeMap::from([
                (Blame::Product.word(), 0),
                (Blame::App.word(), 0),
                (Blame::Node.word(), 0),
            ]),
            harms: harms(documents).iter().filter(|(_, harm)| harm.bit).count(),
        };
        for result in lives.iter().flat_map(|life| &life.phases) {
            match &result.outcome {
                Outcome::Passed => summary.passed += 1,
                Outcome::Skipped { .. } => summary.skipped += 1,
                Outcome::Failed { blame, .. } => {
                    *summary.failures.entry(blame.word()).or_default() += 1;
                }
                Outcome::Inapplicable { .. } => {}
            }
        }
        summary
    }
}

fn green_in_a_row(documents: &[Document], iterations: usize) -> usize {
    let green = |index: usize| {
        let mut lives = documents.iter().map(|document| document.payload.lives.get(index));
        lives.all(|life| life.is_some_and(|life| life.verdict() == Verdict::Passed))
    };
    (0..iterations).rev().take_while(|index| green(*index)).count()
}

/// Harms of the node stand in every app's document: each is told once.
fn harms(documents: &[Document]) -> Vec<(u32, &crate::outcome::HarmRecord)> {
    let mut all: Vec<(u32, &crate::outcome::HarmRecord)> = Vec::new();
    for life in documents.iter().flat_map(|document| &document.payload.lives) {
        for harm in &life.harms {
            if !all.contains(&(life.iteration, harm)) {
                all.push((life.iteration, harm));
            }
        }
    }
    all.sort_by_key(|(iteration, harm)| (*iteration, harm.phase, harm.after_millis));
    all
}

/// The report as Markdown.
#[must_use]
pub fn markdown(documents: &[Document]) -> String {
    let summary = Summary::of(documents);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "**{}**: {} apps, {} iterations, the last {} of them green in a row. {} phases passed, {} were skipped.",
        summary.verdict.word(),
        summary.apps,
        summary.iterations,
        summary.green_in_a_row,
        summary.passed,
        summary.skipped
    );
    let blamed: Vec<String> =
        summary.failures.iter().map(|(blame, count)| format!("{blame} {count}")).collect();
    let _ = writeln!(out, "Failures by who is to blame: {}.\n", blamed.join(", "));
    if let Some(document) = documents.first() {
        let (payload, node) = (&document.payload, &document.payload.node);
        let chaos = payload.chaos.as_ref().map_or_else(
            || "No harms.".to_owned(),
            |seed| format!("Chaos with seed {seed}: {} harms hit.", summary.harms),
        );
        let _ = writeln!(
            out,
            "Node: {}, Linux {}, podman {}, systemd {}, platform {}, {} boots. {chaos}\n",
            node.os,
            node.kernel,
            node.podman,
            node.systemd,
            node.platform,
            node.boots.len()
        );
    }
    grid(documents, &mut out);
    failures(documents, &mut out);
    told_harms(documents, &mut out);
    out
}

/// Apps down, phases across: slowest time of each, or what became of it.
fn grid(documents: &[Document], out: &mut String) {
    let names: Vec<&str> = PHASES.iter().map(|info| info.name).collect();
    let _ = writeln!(out, "| App | Verdict | {} |", names.join(" | "));
    let _ = writeln!(out, "|---|---|{}", "---|".repeat(names.len()));
    for document in documents {
        let cells: Vec<String> = PHASES
            .iter()
            .map(|info| {
                let all = document.payload.lives.iter().flat_map(|life| &life.phases);
                let mine: Vec<_> = all.filter(|result| result.phase == info.phase).collect();
                let failed =
                    mine.iter().filter(|r| matches!(r.outcome, Outcome::Failed { .. })).count();
                let slowest = mine.iter().map(|result| result.millis).max().unwrap_or(0);
                match mine.first().map(|result| &result.outcome) {
                    _ if failed > 0 => format!("**{failed} failed**"),
                    None => "–".to_owned(),
                    Some(Outcome::Inapplicable { .. }) => "n/a".to_owned(),
                    Some(_)
                        if mine.iter().any(|r| matches!(r.outcome, Outcome::Skipped { .. })) =>
                    {
                        "skipped".to_owned()
                    }
                    Some(_) => format!("{} s", seconds(slowest)),
                }
            })
            .collect();
        let payload = &document.payload;
        let _ = writeln!(
            out,
            "| {} {} | {} | {} |",
            payload.app.id,
            payload.app.version,
            payload.verdict.word(),
            cells.join(" | ")
        );
    }
}

fn failures(documents: &[Document], out: &mut String) {
    let mut lines = Vec::new();
    for document in documents {
        for life in &document.payload.lives {
            for (result, _) in life.failures() {
                lines.push(format!(
                    "* iteration {}, {}, {}: {}",
                    life.iteration,
                    document.payload.app.id,
                    result.phase.name(),
                    result.outcome.remark().replace('\n', " ")
                ));
            }
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "\nFailures:\n\n{}", lines.join("\n"));
    }
}

fn told_harms(documents: &[Document], out: &mut String) {
    let harms = harms(documents);
    if harms.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nHarms:\n");
    for (iteration, harm) in harms {
        let whom = harm.app.as_deref().unwrap_or("the node");
        let bit = if harm.bit { "" } else { " (hit nothing)" };
        let _ = writeln!(
            out,
            "* iteration {iteration}, {} after {} s: {} of {whom}: {}{bit}",
            harm.phase.name(),
            seconds(harm.after_millis),
            harm.kind.word(),
            harm.note
        );
    }
}
