//! Rules of this repository that no compiler checks. Each rule is a function; a finding fails the run.
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::{sh, workspace};

mod edges;
mod files;
mod manifests;
mod names;
mod pure;

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, relative to the checkout.
    pub place: String,
    /// What is wrong, and how to mend it.
    pub text: String,
}

/// A rule: its name, and what it finds.
type Rule = (&'static str, fn(&Path) -> anyhow::Result<Vec<Finding>>);

/// The table of rules.
const RULES: &[Rule] = &[
    ("crate edges are on the allow-list", edges::check),
    ("ring 0 reaches no runtime", pure::no_runtime),
    ("ring 0 names no file, process, clock or environment", pure::no_world),
    ("every file begins with its description", files::described),
    ("files and functions keep to their budgets", files::budgets),
    ("no app's id stands in the code", names::check),
    ("manifests are uniform", manifests::check),
    ("generated files are fresh", fresh),
];

/// Runs every rule.
///
/// # Errors
/// A rule cannot be run.
pub fn run() -> anyhow::Result<ExitCode> {
    let root = workspace::root();
    let mut failed = false;
    for (name, rule) in RULES {
        let findings = rule(root)?;
        sh::print(&format!("{} {name}", if findings.is_empty() { "ok  " } else { "FAIL" }));
        for finding in &findings {
            sh::print(&format!("     {}: {}", finding.place, finding.text));
        }
        failed |= !findings.is_empty();
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn fresh(_: &Path) -> anyhow::Result<Vec<Finding>> {
    Ok(crate::codegen::stale()?
        .into_iter()
        .map(|place| Finding { place, text: "is stale: run `cargo xtask codegen`".to_owned() })
        .collect())
}

/// Rust files below a directory of the checkout, in order.
fn rust_files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            let skipped = ["target", "fixtures", "golden", "node_modules"];
            if kind.is_dir() && !skipped.iter().any(|name| path.ends_with(name)) {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}
