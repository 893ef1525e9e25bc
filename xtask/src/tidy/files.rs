//! Budgets of files and functions, and the description at the head of every file.
use std::path::Path;

use super::Finding;

/// Longest file in lines, tests apart.
const FILE_LINES: usize = 800;
/// Longest function in lines, tests apart.
const FUNCTION_LINES: usize = 100;
/// Longest test module inside a file.
const INLINE_TEST_LINES: usize = 150;
/// Directories with Rust code of this project.
const PLACES: &[&str] = &["crates", "xtask", "tests"];

/// Every file begins with `//!`.
pub(super) fn described(root: &Path) -> anyhow::Result<Vec<Finding>> {
    each(root, |_, text| {
        let head = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
        if head.is_some_and(|line| line.starts_with("//!")) {
            return Vec::new();
        }
        vec![(1, "has no `//!` line at its head that says what it is".to_owned())]
    })
}

/// Files and functions keep to their budgets.
pub(super) fn budgets(root: &Path) -> anyhow::Result<Vec<Finding>> {
    each(root, |file, text| {
        let mut findings = Vec::new();
        let code = code_lines(file, text).len();
        if code > FILE_LINES {
            findings
                .push((1, format!("has {code} lines; at most {FILE_LINES} are allowed: split it")));
        }
        let inline = text.lines().count() - code;
        if !is_test(file) && inline > INLINE_TEST_LINES {
            let text =
                format!("has {inline} lines of tests inside; move them to a file of their own");
            findings.push((1, text));
        }
        findings.extend(long_functions(file, text));
        findings
    })
}

fn each(
    root: &Path,
    look: impl Fn(&Path, &str) -> Vec<(usize, String)>,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for place in PLACES {
        for file in super::rust_files(&root.join(place))? {
            let text = std::fs::read_to_string(&file)?;
            findings.extend(look(&file, &text).into_iter().map(|(line, text)| Finding {
                place: format!("{}:{line}", super::relative(root, &file)),
                text,
            }));
        }
    }
    Ok(findings)
}

/// Test code by its place: `tests.rs`, a `tests` directory, benches.
fn is_test(file: &Path) -> bool {
    let named = |name: &str| file.components().any(|part| part.as_os_str() == name);
    file.ends_with("tests.rs") || named("benches") || named("examples") || {
        let inner = file.components().rev().take_while(|part| part.as_os_str() != "crates");
        inner.clone().any(|part| part.as_os_str() == "tests")
    }
}

/// Lines with their numbers, without the test module at the end of a file.
pub(super) fn code_lines<'a>(file: &Path, text: &'a str) -> Vec<(usize, &'a str)> {
    if is_test(file) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| {
        pair[0].trim() == "#[cfg(test)]"
            && pair[1].trim_start().starts_with("mod ")
            && pair[1].ends_with('{')
    });
    let end = tests.unwrap_or(lines.len());
    lines.into_iter().take(end).enumerate().map(|(index, line)| (index + 1, line)).collect()
}

/// True where a line begins a function, whatever its visibility and qualifiers.
fn is_function(line: &str) -> bool {
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')').map_or("", |(_, rest)| rest),
        Some(rest) => rest,
        None => line,
    };
    let mut words = line.split_whitespace();
    words.find(|word| !["async", "const", "unsafe", "extern"].contains(word)) == Some("fn")
}

/// Functions by indentation: rustfmt closes one where it began.
fn long_functions(file: &Path, text: &str) -> Vec<(usize, String)> {
    let lines = code_lines(file, text);
    let mut findings = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let words = line.trim_start();
        if !is_function(words) || line.trim_end().ends_with(';') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[index..].iter().position(|(_, line)| *line == close).unwrap_or(0) + 1;
        if length > FUNCTION_LINES {
            let name = words.split('(').next().unwrap_or(words);
            findings.push((
                *number,
                format!("`{name}` has {length} lines; at most {FUNCTION_LINES} are allowed"),
            ));
        }
    }
    findings
}
