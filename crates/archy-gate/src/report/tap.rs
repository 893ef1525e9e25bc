//! Test Anything Protocol, version 14: one line for each phase.

use std::fmt::Write as _;

use crate::document::Document;
use crate::outcome::Outcome;

/// The documents as TAP.
#[must_use]
pub fn tap(documents: &[Document]) -> String {
    let lives = documents.iter().flat_map(|document| {
        document.payload.lives.iter().map(move |life| (&document.payload.app.id, life))
    });
    let mut lines = String::new();
    let mut number = 0_usize;
    for (app, life) in lives {
        for result in &life.phases {
            number += 1;
            let name = format!("{app}/{} {}", life.iteration, result.phase.name());
            let failed = matches!(result.outcome, Outcome::Failed { .. });
            let _ = write!(lines, "{} {number} - {name}", if failed { "not ok" } else { "ok" });
            match &result.outcome {
                Outcome::Passed => lines.push('\n'),
                Outcome::Skipped { reason } | Outcome::Inapplicable { reason } => {
                    let _ = writeln!(lines, " # SKIP {}", one_line(reason).replace('#', "\\#"));
                }
                Outcome::Failed { code, cause, blame } => {
                    let _ = writeln!(
                        lines,
                        "\n  ---\n  blame: {}\n  code: {code}\n  message: {}\n  ...",
                        blame.word(),
                        serde_json::Value::from(one_line(cause))
                    );
                }
            }
        }
    }
    format!("TAP version 14\n1..{number}\n{lines}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
