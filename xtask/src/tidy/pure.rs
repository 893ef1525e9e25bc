//! Ring 0 is pure: no runtime in its dependencies, no outside world in its code.
use std::path::Path;

use super::Finding;
use crate::workspace;

/// The crates of ring 0.
const RING_0: &[&str] = &[
    "archy-types",
    "archy-manifest",
    "archy-quadlet",
    "archy-plan",
    "archy-catalog",
    "archy-import",
];

/// Crates that bring a runtime or the network.
const RUNTIMES: &[&str] = &["tokio", "async-io", "hyper", "rusqlite", "zbus"];

/// Paths of the standard library that reach the world.
const WORLD: &[&str] = &[
    "std::fs",
    "std::process",
    "std::env",
    "std::net::Tcp",
    "std::net::Udp",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "std::io::stdin",
    "tokio::",
];

/// `cargo tree -i` finds none of the runtimes below a crate of ring 0.
pub(super) fn no_runtime(_: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for krate in RING_0 {
        let tree = workspace::cargo(&[
            "tree", "--locked", "-e", "normal", "--prefix", "none", "-p", krate,
        ])?;
        let text = tree.run()?.stdout;
        for runtime in RUNTIMES {
            if text.lines().any(|line| line.split(' ').next() == Some(runtime)) {
                let text =
                    format!("reaches {runtime}: `cargo tree -p {krate} -i {runtime}` shows how");
                findings.push(Finding { place: format!("crates/{krate}"), text });
            }
        }
    }
    Ok(findings)
}

/// No source file of ring 0, tests apart, names the outside world.
pub(super) fn no_world(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for krate in RING_0 {
        for file in super::rust_files(&root.join("crates").join(krate).join("src"))? {
            let text = std::fs::read_to_string(&file)?;
            for (number, line) in super::files::code_lines(&file, &text) {
                if let Some(word) = WORLD.iter().find(|word| line.contains(**word)) {
                    let place = format!("{}:{number}", super::relative(root, &file));
                    let text = format!("{word} has no place in ring 0: pass it in as an argument");
                    findings.push(Finding { place, text });
                }
            }
        }
    }
    Ok(findings)
}
