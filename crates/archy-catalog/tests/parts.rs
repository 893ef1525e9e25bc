//! A document that is read in parts has what it has as a whole.

#![allow(clippy::unwrap_used, reason = "a test")]

use archy_catalog::document::{parse, parse_part};

#[test]
fn parts_make_the_whole() {
    let app = |id: &str| {
        format!(
            r#""{id}":{{"version":"1","manifest":{{"app":{{"id":"{id}","name":"N","version":"1","description":"D","container":{{"image":"registry.example/n:1"}}}}}}}}"#
        )
    };
    let apps: Vec<String> = ["a", "b", "c", "Bad Id", "d", "b", "e"].map(app).to_vec();
    let text = format!(r#"{{"apps":{{{}}}}}"#, apps.join(","));
    let whole = parse(text.as_bytes()).unwrap();
    assert_eq!((whole.entries.len(), whole.findings.len()), (5, 2));
    for of in [1, 2, 3, 9] {
        let (mut ids, mut findings) = (Vec::new(), 0);
        for part in 0..of {
            let part = parse_part(text.as_bytes(), part, of).unwrap();
            ids.extend(part.entries.iter().map(|entry| entry.manifest.id.to_string()));
            findings += part.findings.len();
        }
        ids.sort();
        assert_eq!(ids, ["a", "b", "c", "d", "e"], "{of} parts");
        assert_eq!(findings, 2, "{of} parts");
    }
}
