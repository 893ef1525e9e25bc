//! Every code has a document that brings it about, at the place where it should stand.

use std::collections::BTreeSet;

use archy_manifest::codes::{CODES, Level};
use archy_manifest::{Diagnostic, Severity, parse};

const ERROR: Severity = Severity::Error;
const WARNING: Severity = Severity::Warning;

/// Code, severity, path, and the lines below `app:` (or a whole document after `@`).
type Case = (&'static str, Severity, &'static str, &'static str);

const HEAD: &str = "app:\n  id: demo\n  name: Demo\n  version: 1.0\n";
const ONE: &str = "  container: { image: \"a.example/b:1\" }\n";

fn document(lines: &str) -> String {
    if let Some(whole) = lines.strip_prefix('@') {
        return whole.to_owned();
    }
    let with_container = lines.starts_with("  services:") || lines.starts_with("  container:");
    format!("{HEAD}{}{lines}\n", if with_container { "" } else { ONE })
}

fn find(code: &str, path: &str, text: &[u8]) -> Option<Diagnostic> {
    parse(text).diagnostics.0.into_iter().find(|d| d.code == code && d.path == path)
}

mod cases;

#[test]
fn every_case_is_found_at_its_place() {
    for (code, severity, path, lines) in cases::CASES {
        let text = document(lines);
        let parsed = parse(text.as_bytes());
        let all = parsed.diagnostics.render("manifest.yml");
        let Some(found) = find(code, path, text.as_bytes()) else {
            panic!("{code} at {path} is missing from:\n{all}\n{text}");
        };
        assert_eq!(found.severity, *severity, "{code}\n{all}");
        assert!(!found.mend.is_empty() && !found.message.is_empty(), "{code}");
        let has_error = parsed.diagnostics.has_errors();
        assert_eq!(parsed.manifest.is_none(), has_error, "{code}\n{all}");
        if *severity == WARNING {
            assert!(!has_error, "{code} brings errors along:\n{all}");
        } else {
            let others: Vec<_> = parsed.diagnostics.errors().filter(|d| d.code != *code).collect();
            assert!(others.is_empty(), "{code} brings others along:\n{all}\n{text}");
        }
    }
}

#[test]
fn every_code_has_a_case() {
    let mut covered: BTreeSet<&str> = cases::CASES.iter().map(|case| case.0).collect();
    covered.extend(["too-large", "not-utf8", "nul-byte", "too-deep", "too-many-values"]);
    covered.extend(["too-many-findings", "key-too-long"]); // in `hostile.rs`
    for code in CODES {
        assert!(covered.contains(code.code), "{} has no case", code.code);
        for (_, severity, _, lines) in cases::CASES.iter().filter(|case| case.0 == code.code) {
            match code.level {
                Level::Error => assert_eq!(*severity, ERROR, "{}", code.code),
                Level::Warning if code.code != "unused-setting" => {
                    assert_eq!(*severity, WARNING, "{}", code.code);
                }
                Level::Form if lines.starts_with("  services:") => {
                    assert_eq!(*severity, ERROR, "{}", code.code);
                }
                _ => {}
            }
        }
    }
    for code in covered {
        assert!(CODES.iter().any(|known| known.code == code), "{code} is not in the list");
    }
}

#[test]
fn positions_and_snippets() {
    let text = format!("{HEAD}{ONE}  ports:\n    - host: 80\n      container: \"eighty\"\n");
    let found = find("wrong-type", "app.ports[0].container", text.as_bytes()).unwrap();
    assert_eq!((found.line, found.column), (8, 18));
    assert_eq!(found.snippet, "      container: \"eighty\"");
    let shown = found.render("manifest.yml");
    let expected = "error[wrong-type]: `eighty` is not a whole number\n --> manifest.yml:8:18 \
        (app.ports[0].container)\n  |\n8 |       container: \"eighty\"\n  |                  ^\n  \
        = mend: write a whole number";
    assert_eq!(shown, expected);
}

#[test]
fn older_names_stand_in_paths() {
    let text = format!("{HEAD}{ONE}  resources: {{ memory_limit: 1Ki }}\n");
    let found = find("out-of-range", "app.resources.memory_limit", text.as_bytes()).unwrap();
    assert_eq!((found.line, found.column), (6, 30));
}

#[test]
fn all_findings_come_at_once() {
    let text = "app:\n  id: Bad_Id\n  container:\n    image: nginx\n    network: host\n    privileged: true\n    derived_env:\n      - { key: A, template: \"{{NOT_A_PLACEHOLDER}}\" }\n  ports:\n    - { host: 80, container: 99999 }\n    - { container: 80, auth: opne }\n";
    let parsed = parse(text.as_bytes());
    let codes: Vec<_> = parsed.diagnostics.0.iter().map(|d| d.code).collect();
    for code in [
        "invalid-id",
        "missing-key",
        "unqualified-image",
        "host-namespace",
        "privileged",
        "unknown-placeholder",
        "out-of-range",
        "invalid-choice",
    ] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    assert!(parsed.diagnostics.to_string().contains("unknown placeholder"));
    let lines: Vec<_> = parsed.diagnostics.0.iter().map(|d| d.line).collect();
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn json_and_api_forms() {
    let parsed = parse(b"app: { id: a, name: b, version: 1, container: { image: nginx } }");
    let json = parsed.diagnostics.to_json();
    assert_eq!(json[0]["code"], "unqualified-image");
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["path"], "app.container.image");
    assert_eq!(json[0]["line"], 1);
    let error = parsed.diagnostics.to_user_error().unwrap();
    assert_eq!(error.code.as_str(), "manifest-invalid");
    assert!(error.message.contains("app.container.image"), "{error}");
    assert!(error.hint.unwrap().contains("docker.io/library/nginx"));
    assert!(
        parse(archy_manifest::starter("a", "b").as_bytes()).diagnostics.to_user_error().is_none()
    );
}

#[test]
fn suggestions() {
    for (lines, mend) in [
        ("  contaner: {}", "did you mean `container`?"),
        ("  depends: []", "`x-`"),
        ("  resources: { memory_limits: 1Gi }", "did you mean `memory_limit`?"),
        ("  ports: [{ container: 1, auth: gatd }]", "did you mean `gated`?"),
        ("  files: [{ path: a, content: \"{{HOST_MDN}}\" }]", "did you mean {{HOST_MDNS}}?"),
        ("  x-note: mine", ""),
    ] {
        let all = parse(document(lines).as_bytes()).diagnostics.render("m");
        assert!(all.contains(mend), "{lines}\n{all}");
        assert_eq!(mend.is_empty(), all == "0 errors, 0 warnings", "{lines}\n{all}");
    }
}
