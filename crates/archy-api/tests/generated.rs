//! The checked-in documents are those that the method table gives; `ARCHY_UPDATE=1` rewrites them.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashSet;
use std::path::Path;

use archy_api::document::{openrpc_document, reference_markdown, typescript};
use archy_api::{ERRORS, METHODS};

#[expect(clippy::disallowed_methods, reason = "the switch that rewrites golden files")]
fn update() -> bool {
    std::env::var("ARCHY_UPDATE").is_ok_and(|value| value == "1")
}

fn check(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if update() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == text, "{path} is not fresh: run `cargo xtask codegen`");
}

#[test]
fn openrpc_is_fresh() {
    check("docs/openrpc.json", &openrpc_document());
}

#[test]
fn typescript_is_fresh() {
    check("web/src/api/types.ts", &typescript());
}

#[test]
fn reference_is_fresh() {
    check("docs/api.md", &reference_markdown());
}

#[test]
fn names_and_codes_are_unique() {
    let names: HashSet<_> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(names.len(), METHODS.len());
    let codes: HashSet<_> = ERRORS.iter().map(|error| error.code).collect();
    assert_eq!(codes.len(), ERRORS.len());
}

#[test]
fn methods_that_change_something_are_guarded() {
    let reads = [
        "health",
        "get",
        "list",
        "logs",
        "history",
        "info",
        "stats",
        "status",
        "is",
        "available",
        "adoptable",
        "outdated",
        "explain",
        "doctor",
        "affected",
        "apps",
        "pubkey",
        "relays",
        "verify",
        "whoami",
        "sessions",
        "audit",
        "onboarding",
        "ca",
        "metrics",
        "snapshots",
        "settings",
    ];
    for method in METHODS {
        let last = method.name.rsplit(['.', '-']).next().unwrap();
        let reading = reads.iter().any(|word| last.starts_with(word))
            || ["server.get-state", "system.get-hostname"].contains(&method.name);
        assert!(
            method.access.public || reading || method.access.csrf,
            "{} changes something without a CSRF token",
            method.name
        );
    }
}

#[test]
fn every_reference_in_the_document_resolves() {
    let document: serde_json::Value = serde_json::from_str(&openrpc_document()).unwrap();
    let mut stack = vec![&document];
    while let Some(value) = stack.pop() {
        match value {
            serde_json::Value::Object(map) => {
                if let Some(reference) = map.get("$ref").and_then(|r| r.as_str()) {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                stack.extend(map.values());
            }
            serde_json::Value::Array(list) => stack.extend(list),
            _ => {}
        }
    }
}
