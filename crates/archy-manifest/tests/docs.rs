//! The generated documents are fresh, and the code list is complete.

use std::path::Path;

use archy_manifest::codes::CODES;
use archy_manifest::docs::{json_schema, keys, reference};

#[expect(clippy::disallowed_methods, reason = "a test that can renew what it checks")]
fn check(name: &str, fresh: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        assert!(std::fs::write(&path, fresh).is_ok(), "docs/{name} cannot be written");
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(held == fresh, "docs/{name} is stale; run this test with UPDATE_DOCS=1");
}

#[test]
fn schema_is_fresh() {
    check("manifest.schema.json", &json_schema());
}

#[test]
fn reference_is_fresh() {
    check("manifest.md", &reference());
}

#[test]
fn schema_has_older_names_and_descriptions() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    let container = &schema["$defs"]["Container"]["properties"];
    assert_eq!(container["custom_args"]["deprecated"], true);
    assert_eq!(container["network_aliases"]["deprecated"], true);
    assert_eq!(schema["$defs"]["Resources"]["properties"]["memory_limit"]["deprecated"], true);
    assert!(!json_schema().contains("x-alias"));
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            assert!(property.get("description").is_some(), "{name}.{key} has no description");
        }
    }
}

#[test]
fn reference_names_every_key() {
    let page = reference();
    assert!(keys().len() > 200, "{}", keys().len());
    for key in keys() {
        let last = key.rsplit('.').next().unwrap();
        assert!(page.contains(&format!("| `{last}`")), "{key}");
    }
}

#[test]
fn codes_are_sorted_and_unique() {
    for pair in CODES.windows(2) {
        assert!(pair[0].code < pair[1].code, "{}", pair[1].code);
    }
}

/// Every code that the sources name is in the list, and the other way round.
#[test]
fn codes_are_complete() {
    let mut sources = String::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut dirs = vec![src];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.file_name().unwrap() != "codes.rs" {
                sources.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let packed: String = sources.split_whitespace().collect();
    for call in
        [".error(", ".warn(", ".strict(", "Finding::new(", "report(Error,", "report(Warning,"]
    {
        for part in packed.split(call).skip(1) {
            if let Some(code) = part.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                assert!(CODES.iter().any(|known| known.code == code), "{code} is not in the list");
            }
        }
    }
    for code in CODES {
        assert!(packed.contains(&format!("\"{}\"", code.code)), "{} is unused", code.code);
    }
}
