//! Which crate may depend on which: adding an edge is a decision that shows in this table.
use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use crate::workspace;

/// Crate, and the project's own crates that it may depend on (dev-dependencies apart).
const ALLOWED: &[(&str, &[&str])] = &[
    ("archy-types", &[]),
    ("archy-manifest", &["archy-types"]),
    ("archy-quadlet", &["archy-types", "archy-manifest"]),
    ("archy-plan", &["archy-types", "archy-manifest", "archy-quadlet"]),
    ("archy-catalog", &["archy-types", "archy-manifest"]),
    ("archy-import", &["archy-types", "archy-manifest"]),
    ("archy-podman", &["archy-types"]),
    ("archy-systemd", &["archy-types"]),
    ("archy-store", &["archy-types"]),
    ("archy-fetch", &["archy-types"]),
    ("archy-registry", &["archy-types", "archy-manifest", "archy-fetch"]),
    ("archy-engine", &["archy-types", "archy-manifest", "archy-quadlet", "archy-plan"]),
    ("archy-api", &["archy-types"]),
    ("archy-client", &["archy-api", "archy-types"]),
    ("archy-gate", &["archy-types", "archy-api", "archy-client", "archy-manifest"]),
    ("archy-proxy", &["archy-types"]),
    ("archy-identity", &["archy-types"]),
    ("archy-health", &[]),
    (
        "archy",
        &[
            "archy-types",
            "archy-api",
            "archy-client",
            "archy-gate",
            "archy-import",
            "archy-manifest",
            "archy-quadlet",
            "archy-plan",
            "archy-registry",
            "archy-fetch",
        ],
    ),
    (
        "archipelago",
        &[
            "archy-types",
            "archy-manifest",
            "archy-quadlet",
            "archy-plan",
            "archy-catalog",
            "archy-registry",
            "archy-proxy",
            "archy-identity",
            "archy-podman",
            "archy-systemd",
            "archy-store",
            "archy-fetch",
            "archy-engine",
            "archy-api",
        ],
    ),
    (
        "archy-testkit",
        &[
            "archy-types",
            "archy-manifest",
            "archy-quadlet",
            "archy-plan",
            "archy-engine",
            "archy-api",
        ],
    ),
    ("archy-live", &["archy-api", "archy-client", "archy-types", "xtask"]),
    ("archy-scenarios", &["archy-types", "archy-manifest", "archy-quadlet", "archy-plan"]),
    (
        "xtask",
        &[
            "archy-api",
            "archy-import",
            "archy-manifest",
            "archy-quadlet",
            "archy-systemd",
            "archy-types",
        ],
    ),
];

/// Compares the manifests of all crates with the table.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let output =
        workspace::cargo(&["metadata", "--no-deps", "--format-version=1", "--locked"])?.run()?;
    let metadata: serde_json::Value = serde_json::from_str(&output.stdout)?;
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let place =
            super::relative(root, Path::new(package["manifest_path"].as_str().unwrap_or_default()));
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            let text =
                format!("the crate {name} is not in the table of edges (xtask/src/tidy/edges.rs)");
            findings.push(Finding { place, text });
            continue;
        };
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            let own = dependency["path"].is_string();
            let dev = dependency["kind"] == "dev";
            if own && !dev && !allowed.contains(target) {
                let text = format!("depends on {target}: not on the allow-list of crate edges");
                findings.push(Finding { place: place.clone(), text });
            }
            if target == "archy-testkit" && !dev {
                let text = "archy-testkit may only be a dev-dependency".to_owned();
                findings.push(Finding { place: place.clone(), text });
            }
        }
    }
    Ok(findings)
}
