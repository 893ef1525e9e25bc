//! The scorecard: how many apps of each store came how far, and what stops the rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use archy_import::{REASONS, Severity};

use super::Outcome;

/// The scorecard lies between these lines of `docs/importers.md`.
const CARD: (&str, &str) = ("<!-- scorecard:begin -->", "<!-- scorecard:end -->");
/// The table of reasons lies between these.
const TABLE: (&str, &str) = ("<!-- reasons:begin -->", "<!-- reasons:end -->");
/// What has to hold, in percent: valid, rendered, without an edit.
const AIMS: [f64; 3] = [97.0, 92.0, 85.0];

/// Counts of one store.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    apps: usize,
    valid: usize,
    rendered: usize,
    no_edit: usize,
    complete: usize,
}

/// The scorecard.
pub(super) struct Card {
    stores: BTreeMap<String, Counts>,
    total: Counts,
    /// Apps by what a person has to do, and by reason.
    edits: BTreeMap<&'static str, Vec<String>>,
    /// Apps with a reason of lesser weight.
    others: BTreeMap<&'static str, usize>,
    failures: Vec<String>,
}

impl Card {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let mut card = Self {
            stores: BTreeMap::new(),
            total: Counts::default(),
            edits: BTreeMap::new(),
            others: BTreeMap::new(),
            failures: Vec::new(),
        };
        for outcome in outcomes {
            let counts = card.stores.entry(outcome.store.clone()).or_default();
            for counts in [counts, &mut card.total] {
                counts.apps += 1;
                counts.valid += usize::from(outcome.valid());
                counts.rendered += usize::from(outcome.units.is_ok());
                counts.no_edit += usize::from(outcome.no_edit());
                counts.complete += usize::from(outcome.complete());
            }
            let name = format!("{}/{}", outcome.store, outcome.name);
            if let Err(why) = &outcome.units {
                card.failures.push(format!("{name}: {why}"));
            }
            let Ok(import) = &outcome.import else { continue };
            let mut seen: Vec<&str> = Vec::new();
            for finding in &import.findings {
                if seen.contains(&finding.reason) {
                    continue;
                }
                seen.push(finding.reason);
                match finding.severity {
                    Severity::Edit | Severity::Supply => {
                        card.edits.entry(finding.reason).or_default().push(name.clone());
                    }
                    _ => *card.others.entry(finding.reason).or_default() += 1,
                }
            }
        }
        card
    }

    /// True when the aims are met.
    pub(super) fn holds(&self) -> bool {
        let total = self.total;
        [total.valid, total.rendered, total.no_edit]
            .iter()
            .zip(AIMS)
            .all(|(count, aim)| percent(*count, total.apps) >= aim)
    }

    /// The scorecard as Markdown.
    pub(super) fn summary(&self) -> String {
        let mut out = String::from(
            "| store | apps | valid manifest | units without a warning | no hand edit | … and no file missing |\n|---|--:|--:|--:|--:|--:|\n",
        );
        let rows = self.stores.iter().map(|(name, counts)| (name.as_str(), counts));
        for (name, counts) in rows.chain([("**all**", &self.total)]) {
            let cell = |count: usize| format!("{count} ({:.1} %)", percent(count, counts.apps));
            let (valid, rendered, no_edit) =
                (cell(counts.valid), cell(counts.rendered), cell(counts.no_edit));
            let complete = cell(counts.complete);
            let _ = writeln!(
                out,
                "| {name} | {} | {valid} | {rendered} | {no_edit} | {complete} |",
                counts.apps
            );
        }
        let aims = AIMS.map(|aim| format!("≥ {aim:.0} %"));
        let _ = writeln!(out, "| aim | | {} | {} | {} | |", aims[0], aims[1], aims[2]);
        out.push_str("\nWhat needs a hand edit, by reason; `missing-file` asks for a file beside the manifest instead, and counts in the last column only. An app may have several reasons.\n\n");
        out.push_str("| reason | apps | which |\n|---|--:|---|\n");
        let mut edits: Vec<_> = self.edits.iter().collect();
        edits.sort_by_key(|(code, apps)| (std::cmp::Reverse(apps.len()), **code));
        for (code, apps) in edits {
            let _ = writeln!(out, "| `{code}` | {} | {} |", apps.len(), apps.join(", "));
        }
        if !self.failures.is_empty() {
            out.push_str("\nWhat did not become units:\n\n");
            for failure in &self.failures {
                let _ = writeln!(out, "- {failure}");
            }
        }
        out.push_str("\nWarnings and notes, by number of apps:");
        let mut others: Vec<_> = self.others.iter().collect();
        others.sort_by_key(|(code, count)| (std::cmp::Reverse(**count), **code));
        let list: Vec<_> = others.iter().map(|(code, count)| format!("`{code}` {count}")).collect();
        let _ = writeln!(out, " {}.", list.join(", "));
        out
    }

    /// The document with the scorecard and the table of reasons in their places.
    pub(super) fn put_into(&self, text: &str) -> anyhow::Result<String> {
        let text = between(text, CARD, &self.summary())?;
        between(&text, TABLE, &table())
    }
}

/// The table of all reasons.
fn table() -> String {
    let mut out = String::from("| code | severity | meaning |\n|---|---|---|\n");
    for reason in REASONS {
        let word = match reason.severity {
            Severity::Edit => "edit",
            Severity::Supply => "supply",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let _ = writeln!(out, "| `{}` | {word} | {} |", reason.code, reason.meaning);
    }
    out
}

fn between(text: &str, marks: (&str, &str), new: &str) -> anyhow::Result<String> {
    let find = |mark: &str| {
        text.find(mark).ok_or_else(|| anyhow::anyhow!("docs/importers.md has no line {mark}"))
    };
    let (from, to) = (find(marks.0)? + marks.0.len(), find(marks.1)?);
    let head = text.get(..from).unwrap_or_default();
    let tail = text.get(to..).unwrap_or_default();
    Ok(format!("{head}\n\n{new}\n{tail}"))
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred apps")]
fn percent(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { 100.0 * count as f64 / of as f64 }
}

/// Everything about one app.
pub(super) fn detail(outcome: &Outcome) -> String {
    let mut out = format!("== {}/{}\n", outcome.store, outcome.name);
    match &outcome.import {
        Ok(import) => {
            for finding in &import.findings {
                let _ = writeln!(
                    out,
                    "{:?} {} [{}] {}",
                    finding.severity, finding.reason, finding.place, finding.message
                );
            }
            out.push_str(&import.manifest);
        }
        Err(why) => out.push_str(why),
    }
    if let Err(why) = &outcome.units {
        let _ = writeln!(out, "units: {why}");
    }
    out
}

/// The findings of one reason in one app.
pub(super) fn reasons(outcome: &Outcome, code: &str) -> String {
    let Ok(import) = &outcome.import else { return String::new() };
    let all: Vec<_> = import
        .findings
        .iter()
        .filter(|finding| finding.reason == code)
        .map(|f| format!("{}/{} [{}] {}", outcome.store, outcome.name, f.place, f.message))
        .collect();
    all.join("\n")
}
