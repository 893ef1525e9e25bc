//! Runs every file of `scripts/` and compares what its commands print with what it says.

mod desk;
mod host;
mod script;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use similar::TextDiff;

use crate::desk::Desk;
use crate::script::Script;

fn files() -> anyhow::Result<Vec<PathBuf>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir)? {
        let path = entry?.path();
        anyhow::ensure!(
            path.extension().is_some_and(|extension| extension == "txt"),
            "{} is no script: scripts end in .txt",
            path.display()
        );
        files.push(path);
    }
    files.sort();
    Ok(files)
}

/// The script with the output that its commands give now.
fn run(text: &str) -> anyhow::Result<String> {
    let mut script = Script::parse(text)?;
    let mut desk = Desk::new(&script)?;
    for command in &mut script.commands {
        let output = desk.run(&command.line).with_context(|| format!("$ {}", command.line))?;
        command.output = output;
    }
    Ok(script.to_text())
}

/// What is wrong with one file, if anything.
fn check(path: &Path, update: bool) -> anyhow::Result<Option<String>> {
    let text = std::fs::read_to_string(path)?;
    let now = run(&text)?;
    if now == text {
        return Ok(None);
    }
    if update {
        std::fs::write(path, now)?;
        return Ok(None);
    }
    let diff = TextDiff::from_lines(&text, &now)
        .unified_diff()
        .header("the file", "the planner")
        .to_string();
    Ok(Some(diff))
}

#[test]
fn every_script_prints_what_it_says() {
    #[expect(clippy::disallowed_methods, reason = "a test is an edge")]
    let update = std::env::var_os("ARCHY_UPDATE").is_some();
    let files = files().unwrap();
    assert!(files.len() >= 8, "scripts are missing");
    let mut failures = Vec::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match check(&path, update) {
            Ok(None) => {}
            Ok(Some(diff)) => failures.push(format!("== {name}\n{diff}")),
            Err(error) => failures.push(format!("== {name}\n{error:#}\n")),
        }
    }
    assert!(
        failures.is_empty(),
        "{} scripts differ (ARCHY_UPDATE=1 takes over what they print now):\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn a_script_keeps_its_text() {
    let text = "# What it shows.\n--- manifest a\napp: {}\n--- host\nimage x\n--- script\n\
                $ plan\nnothing\n\n$ files\n";
    assert_eq!(Script::parse(text).unwrap().to_text(), text);
    for (bad, why) in [
        ("--- script\n$ plan\n", "begins with `#`"),
        ("# x\n--- host\n", "no command"),
        ("# x\n--- strange\n", "no section"),
        ("# x\n--- script\nplan\n", "before the first command"),
        ("# x\n--- manifest a\n--- manifest a\n--- script\n$ plan\n", "twice"),
    ] {
        let error = Script::parse(bad).unwrap_err().to_string();
        assert!(error.contains(why), "{bad:?}: {error}");
    }
}
