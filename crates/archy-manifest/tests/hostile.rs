//! Bad input gets a clear error in bounded work.

use archy_manifest::{Severity, parse, yaml};

fn repeat(part: &str, bytes: usize) -> Vec<u8> {
    part.repeat(bytes / part.len()).into_bytes()
}

fn codes(text: &[u8]) -> Vec<&'static str> {
    let parsed = parse(text);
    assert!(parsed.diagnostics.0.len() <= 101);
    assert!(parsed.diagnostics.0.iter().all(|d| d.snippet.chars().count() <= 160));
    parsed.diagnostics.0.iter().filter(|d| d.severity == Severity::Error).map(|d| d.code).collect()
}

fn numbered(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

const HEAD: &str = "app:\n  id: a\n  name: a\n  version: 1\n  container:\n    image: \"a.b/c:1\"\n";

#[test]
fn size_and_characters() {
    assert_eq!(codes(&repeat("a: b\n", 10 << 20)), ["too-large"]);
    assert_eq!(codes(b"app:\n  id: \xff\n"), ["not-utf8"]);
    assert_eq!(codes(&[0xff, 0xfe, b'a', 0]), ["not-utf8"]);
    assert_eq!(codes(b"app:\n  id: a\0b\n"), ["nul-byte"]);
    let at = |text: &[u8]| parse(text).diagnostics.0.first().map(|d| (d.line, d.column));
    assert_eq!(at(b"app:\n  id: \xff\n"), Some((2, 7)));
    assert_eq!(at("app:\n  \u{e9}: a\0b\n".as_bytes()), Some((2, 7)));
}

#[test]
fn line_ends_and_byte_order_mark() {
    let unix =
        format!("{HEAD}  files:\n    - path: f\n      content: |\n        one\n        two\n");
    let plain = parse(unix.as_bytes());
    assert!(plain.manifest.is_some(), "{}", plain.diagnostics);
    assert_eq!(parse(unix.replace('\n', "\r\n").as_bytes()).manifest, plain.manifest);
    assert_eq!(parse(format!("\u{feff}{unix}").as_bytes()).manifest, plain.manifest);
    let parsed = parse(b"app:\r\n  id: a\r\n\tname: b\r\n");
    let found = parsed.diagnostics.0.first().unwrap();
    assert_eq!((found.code, found.line), ("tab-indentation", 3));
    assert_eq!(found.snippet, " name: b");
}

#[test]
fn depth() {
    for text in ["- ", "[\n", "{a:\n", "? ", "[", "{", "[{"] {
        let found = codes(&repeat(text, 1 << 19));
        assert!(matches!(found[..], ["too-deep" | "yaml-syntax"]), "{text:?} {found:?}");
    }
    let indented = numbered(200, |i| format!("{}a:\n", " ".repeat(i)));
    assert_eq!(codes(indented.as_bytes()), ["too-deep"]);
    let deep = format!("{HEAD}  metadata: {{ a: {}1{} }}\n", "[".repeat(40), "]".repeat(40));
    assert!(parse(deep.as_bytes()).manifest.is_some());
    let deeper = format!("{HEAD}  metadata: {{ a: {}1{} }}\n", "[".repeat(50), "]".repeat(50));
    assert_eq!(codes(deeper.as_bytes()), ["too-deep"]);
}

#[test]
fn aliases() {
    let bomb = numbered(30, |i| {
        let items = vec![format!("*a{}", i.saturating_sub(1)); 10].join(",");
        if i == 0 { "a0: &a0 [x]\n".to_owned() } else { format!("a{i}: &a{i} [{items}]\n") }
    });
    assert_eq!(codes(bomb.as_bytes()), ["too-many-values"]);
    let chain = numbered(60, |i| match i {
        0 => "a0: &a0 [x]\n".to_owned(),
        _ => format!("a{i}: &a{i} [*a{}]\n", i - 1),
    });
    assert_eq!(codes(chain.as_bytes()), ["too-deep"]);
    assert!(codes(b"app: &a [*a]").contains(&"yaml-syntax"));
    assert!(codes(b"app: *nowhere").contains(&"yaml-syntax"));
    let used = format!("{HEAD}  ports:\n    - &p {{ host: 1, container: 80 }}\n  x-copy: *p\n");
    assert!(parse(used.as_bytes()).diagnostics.0.is_empty());
}

#[test]
fn amounts() {
    let many = numbered(90_000, |i| format!("k{i}: 1\n"));
    assert_eq!(codes(many.as_bytes()), ["too-many-values"]);
    let unknown = format!("{HEAD}{}", numbered(9_000, |i| format!("  k{i}: 1\n")));
    let parsed = parse(unknown.as_bytes());
    assert_eq!(parsed.diagnostics.0.len(), 101);
    assert!(parsed.diagnostics.0.iter().any(|d| d.code == "too-many-findings"));
    assert!(parsed.manifest.is_none());
    let key = format!("{}: 1\n", "k".repeat(yaml::MAX_KEY + 1));
    assert_eq!(codes(key.as_bytes()), ["key-too-long"]);
    let long = format!("{HEAD}  description: {}\n", "x".repeat(900_000));
    assert!(parse(long.as_bytes()).manifest.is_some());
    let line = format!("{HEAD}  kategory: {}\n", "x".repeat(900_000));
    assert!(codes(line.as_bytes()).is_empty());
}

#[test]
fn odd_bytes() {
    for part in [
        "\"",
        "'",
        "#",
        "\n",
        "\t",
        " ",
        "%",
        "%a\n",
        "&",
        "!",
        "*",
        "!a ",
        "---\n",
        "\r",
        ",",
        ":",
        "?\n",
        "a: |\n x\n",
        "a: >\n \n",
        "? a\n: b\n",
        "x ",
        "x\n",
        "\u{e9}\u{2028}",
        "- - ",
        "<<: *a\n",
        "&a ",
        "[a, {b: ",
        "...\n",
    ] {
        assert!(parse(&repeat(part, 200_000)).manifest.is_none(), "{part:?}");
    }
}
