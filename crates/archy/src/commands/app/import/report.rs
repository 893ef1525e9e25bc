//! The report of an import, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use archy_import::{Import, Severity};
use serde_json::json;

use super::Outcome;

/// The report for programs; its shape is described in `docs/importers.md`.
pub(super) fn json(outcomes: &[Outcome]) -> String {
    let mut apps = Vec::new();
    let mut failed = Vec::new();
    for outcome in outcomes {
        match &outcome.result {
            Ok(import) => {
                let mut app = serde_json::to_value(import.report()).unwrap_or_default();
                if let Some(map) = app.as_object_mut() {
                    map.insert("manifest".to_owned(), json!(outcome.written));
                }
                apps.push(app);
            }
            Err(error) => failed.push(json!({
                "path": outcome.source.path,
                "kind": outcome.source.kind,
                "code": error.code,
                "message": error.message,
                "hints": error.hints,
            })),
        }
    }
    let count = |test: fn(&Import) -> bool| {
        outcomes
            .iter()
            .filter_map(|outcome| outcome.result.as_ref().ok())
            .filter(|i| test(i))
            .count()
    };
    let report = json!({
        "schema": 1,
        "totals": {
            "apps": outcomes.len(),
            "valid": count(Import::is_valid),
            "needs_edit": count(Import::needs_edit),
            "needs_files": count(Import::needs_files),
            "failed": failed.len(),
        },
        "apps": apps,
        "failed": failed,
    });
    serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
}

/// All findings of one app.
pub(super) fn findings(import: &Import) -> String {
    let mut out = String::new();
    for finding in import.findings.iter().filter(|f| f.severity > Severity::Note) {
        let place =
            if finding.place.is_empty() { String::new() } else { format!("{}: ", finding.place) };
        let _ = writeln!(
            out,
            "{} [{}] {place}{}",
            word(finding.severity),
            finding.reason,
            finding.message
        );
    }
    let notes = import.findings.iter().filter(|f| f.severity == Severity::Note).count();
    let _ = write!(out, "{}; {notes} notes, see --report json", verdict(import));
    out
}

fn verdict(import: &Import) -> String {
    let id = &import.id;
    match (import.is_valid(), import.needs_edit(), import.needs_files()) {
        (false, ..) => format!("{id}: the manifest is not valid yet"),
        (_, true, _) => format!("{id}: needs an edit by hand"),
        (_, _, true) => format!("{id}: needs files beside the manifest"),
        _ => format!("{id}: ready"),
    }
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Edit => "edit",
        Severity::Supply => "supply",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// One line for each app that was written, findings that ask something of a person, and the sum.
pub(super) fn text(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
    let several = outcomes.len() > 1;
    for outcome in outcomes {
        let Ok(import) = &outcome.result else { continue };
        let place = outcome.written.as_ref().map(|path| format!(" → {}", path.display()));
        let _ = writeln!(out, "{}{}", verdict(import), place.unwrap_or_default());
        let least = if several { Severity::Supply } else { Severity::Warning };
        for finding in import.findings.iter().filter(|finding| finding.severity >= least) {
            let _ = writeln!(
                out,
                "  {} [{}] {}: {}",
                word(finding.severity),
                finding.reason,
                finding.place,
                finding.message
            );
        }
        let mut seen: Vec<&str> = Vec::new();
        for finding in &import.findings {
            if finding.severity == Severity::Edit && !seen.contains(&finding.reason) {
                seen.push(finding.reason);
                *reasons.entry(finding.reason).or_default() += 1;
            }
        }
    }
    if several {
        let ready = |outcome: &&Outcome| {
            outcome
                .result
                .as_ref()
                .is_ok_and(|i| i.is_valid() && !i.needs_edit() && !i.needs_files())
        };
        let count = outcomes.iter().filter(ready).count();
        let _ = writeln!(out, "{count} of {} apps are ready.", outcomes.len());
        let mut reasons: Vec<_> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            let _ = writeln!(out, "  {count} × {reason}");
        }
    }
    out
}
