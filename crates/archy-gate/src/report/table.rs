//! A table for a terminal.

use std::fmt::Write as _;

use super::seconds;
use crate::document::Document;
use crate::outcome::Life;

/// One app's result.
#[must_use]
pub fn table(document: &Document) -> String {
    let payload = &document.payload;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} {} on {} ({}, platform {}): {}",
        payload.app.id,
        payload.app.version,
        payload.node.hostname,
        payload.node.os,
        payload.node.platform,
        payload.verdict.word()
    );
    for life in &payload.lives {
        life_table(life, payload.lives.len() > 1, &mut out);
    }
    let watched = match payload.app.places.len() {
        0 => "no data is kept by this app".to_owned(),
        _ => format!("data watched in {}", payload.app.places.join(", ")),
    };
    let _ = writeln!(out, "{watched}; {} test steps of its own", payload.app.steps);
    let _ = writeln!(out, "manifest {}", payload.app.manifest);
    let _ = writeln!(out, "signed by {}", document.signature.key);
    out
}

fn life_table(life: &Life, numbered: bool, out: &mut String) {
    if numbered {
        let _ = writeln!(out, "\niteration {}: {}", life.iteration, life.verdict().word());
    }
    for result in &life.phases {
        let remark = result.outcome.remark();
        let notes: Vec<&str> =
            [remark.as_str()].into_iter().chain(result.notes.iter().map(String::as_str)).collect();
        let notes: Vec<&str> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        let line = format!(
            "  {:<8} {:<15} {:>7} s  {}",
            result.outcome.word(),
            result.phase.name(),
            seconds(result.millis),
            notes.join("; ")
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    for harm in &life.harms {
        let whom = harm.app.as_deref().unwrap_or("the node");
        let bit = if harm.bit { "" } else { " (hit nothing)" };
        let _ = writeln!(
            out,
            "  harm     {:<15} {:>7} s  {} of {whom}: {}{bit}",
            harm.phase.name(),
            seconds(harm.after_millis),
            harm.kind.word(),
            harm.note
        );
    }
}
