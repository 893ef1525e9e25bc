//! JUnit's XML: one suite for each app and iteration, one case for each phase.

use std::fmt::Write as _;

use crate::document::Document;
use crate::outcome::{Life, Outcome, PhaseResult};

/// The documents as JUnit's XML.
#[must_use]
pub fn junit(documents: &[Document]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for document in documents {
        for life in &document.payload.lives {
            suite(document, life, &mut out);
        }
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(document: &Document, life: &Life, out: &mut String) {
    let payload = &document.payload;
    let skipped = |result: &&PhaseResult| {
        matches!(result.outcome, Outcome::Skipped { .. } | Outcome::Inapplicable { .. })
    };
    let total: u64 = life.phases.iter().map(|result| result.millis).sum();
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\" hostname=\"{}\">",
        escape(&format!("{}.{}", payload.app.id, life.iteration)),
        life.phases.len(),
        life.failures().count(),
        life.phases.iter().filter(skipped).count(),
        millis(total),
        escape(&payload.node.hostname),
    );
    for result in &life.phases {
        case(&payload.app.id, result, out);
    }
    out.push_str("  </testsuite>\n");
}

fn case(app: &str, result: &PhaseResult, out: &mut String) {
    let _ = write!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
        escape(app),
        result.phase.name(),
        millis(result.millis)
    );
    match &result.outcome {
        Outcome::Passed => out.push_str("/>\n"),
        Outcome::Failed { code, cause, blame } => {
            let _ = writeln!(
                out,
                ">\n      <failure type=\"{}:{}\" message=\"{}\"/>\n    </testcase>",
                blame.word(),
                escape(code),
                escape(cause)
            );
        }
        Outcome::Skipped { reason } | Outcome::Inapplicable { reason } => {
            let _ = writeln!(
                out,
                ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                escape(reason)
            );
        }
    }
}

fn millis(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Text as an attribute's value; what XML 1.0 cannot hold becomes a mark.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
