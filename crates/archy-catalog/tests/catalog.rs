//! Catalogs from documents and sources.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::cmp::Ordering;

use archy_catalog::{
    Catalog, Entry, Finding, Reason, ShadowReason, Source, compare_versions, document,
};
use archy_types::{AppId, Digest};
use proptest::prelude::*;

fn manifest(id: &str, version: &str, more: &str) -> String {
    format!(
        r#"{{"app": {{"id": "{id}", "name": "App {id}", "version": "{version}",
            "description": "Keeps {id} things", "container": {{"image": "registry.example/{id}:1"}}
            {more}}}}}"#
    )
}

fn entry(id: &str, version: &str, more: &str) -> Entry {
    let text = manifest(id, version, more);
    let parsed = archy_manifest::parse(text.as_bytes());
    Entry::new(parsed.manifest.unwrap_or_else(|| panic!("{}", parsed.diagnostics)), text)
}

fn source(name: &str, rank: u32, entries: &[Entry]) -> Source {
    Source { name: name.into(), rank, entries: entries.to_vec() }
}

fn id(text: &str) -> AppId {
    AppId::new(text).unwrap()
}

fn codes(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|it| (it.app.as_str(), it.code())).collect()
}

#[test]
fn a_document_gives_its_good_entries_and_reports_the_others() {
    let good = manifest("notes", "1.0.0", "");
    let other = manifest("other", "1.0.0", "");
    let broken = good.replace("registry.example/notes:1", "{{");
    let text = format!(
        r#"{{"schema": 1, "apps": {{
            "notes": {{"version": "1.0.0", "manifest": {good}, "icon": "x"}},
            "Bad_Id": {{"version": "1", "manifest": {good}}},
            "notes": {{"version": "2.0.0", "manifest": {good}}},
            "empty": {{"version": "1.0.0"}},
            "list": [],
            "renamed": {{"version": "1.0.0", "manifest": {other}}},
            "other": {{"version": "3", "manifest": {other}}},
            "broken": {{"version": "1.0.0", "manifest": {broken}}}
        }}}}"#
    );
    let document = document::parse(text.as_bytes()).unwrap();
    let ids: Vec<_> = document.entries.iter().map(|it| it.manifest.id.as_str()).collect();
    assert_eq!(ids, ["notes", "other"]);
    assert_eq!(document.entries[0].digest, Digest::of(good.as_bytes()), "the very bytes");
    let (errors, warnings): (Vec<_>, Vec<_>) =
        document.findings.into_iter().partition(Finding::is_error);
    assert_eq!(
        codes(&errors),
        [
            ("Bad_Id", "catalog-app-id"),
            ("notes", "catalog-app-twice"),
            ("empty", "catalog-entry-shape"),
            ("list", "catalog-entry-shape"),
            ("renamed", "catalog-other-id"),
            ("broken", "catalog-manifest"),
        ]
    );
    let version = Reason::Version { listed: "3".into(), manifest: "1.0.0".into() };
    assert!(warnings.iter().any(|it| it.app == "other" && it.reason == version), "{warnings:?}");
    assert!(errors.iter().all(|it| !it.to_string().is_empty()));
}

#[test]
fn what_is_no_catalog_is_refused() {
    let deep = format!("{{\"apps\": {{\"a\": {}", "[".repeat(100_000));
    let cases: [&[u8]; 7] = [
        b"",
        b"[]",
        b"{}",
        b"{\"apps\": []}",
        b"\xff\xfe",
        b"{\"apps\": {\"a\": 1",
        deep.as_bytes(),
    ];
    for text in cases {
        let error = document::parse(text).unwrap_err();
        assert_eq!(error.code(), "catalog-json");
        assert!(!error.hint().is_empty());
    }
    let large = vec![b' '; document::MAX_BYTES + 1];
    assert_eq!(document::parse(&large).unwrap_err().code(), "catalog-too-large");
    let keys: Vec<_> = (0..=document::MAX_APPS).map(|n| format!("\"a{n}\":1")).collect();
    let many = format!("{{\"apps\":{{{}}}}}", keys.join(","));
    assert_eq!(document::parse(many.as_bytes()).unwrap_err().code(), "catalog-too-many");
    assert!(document::parse(b"{\"apps\": {}}").unwrap().entries.is_empty());
}

#[test]
fn rank_comes_before_version_and_every_loser_has_its_reason() {
    let new = entry("notes", "1.10.0", "");
    let old = entry("notes", "1.9.0", "");
    let tie = entry("notes", "1.10.0", r#", "category": "other""#);
    let catalog = Catalog::merge([
        source("market", 20, &[entry("notes", "9.0.0", ""), entry("files", "1", "")]),
        source("signed", 10, &[old.clone(), new.clone()]),
        source("mirror", 10, &[]),
        source("zzz", 10, &[new.clone(), tie]),
    ]);
    assert_eq!(catalog.len(), 2);
    let listing = catalog.listing(&id("notes")).unwrap();
    assert_eq!(
        (listing.winner.source.as_ref(), listing.winner.entry.digest),
        ("signed", new.digest)
    );
    let older = ShadowReason::OlderVersion { winner: "1.10.0".into() };
    let reasons: Vec<_> =
        listing.shadowed.iter().map(|it| (it.offer.source.as_ref(), it.reason.clone())).collect();
    let mut near = reasons[..2].to_vec();
    near.sort_by_key(|(_, reason)| reason.to_string());
    assert_eq!(near, [("zzz", ShadowReason::Tie), ("zzz", ShadowReason::SameText)]);
    assert_eq!(reasons[2..], [("signed", older), ("market", ShadowReason::Rank)]);
    assert_eq!(catalog.get(&id("files")).unwrap().source.as_ref(), "market");
    assert!(catalog.get(&id("absent")).is_none());
    assert_eq!(catalog.by_digest(old.digest).unwrap().manifest().version, "1.9.0");
}

#[test]
fn roles_are_found_by_version() {
    let role =
        |version: &str| format!(r#", "provides": [{{"role": "chain", "version": "{version}"}}]"#);
    let plain = r#", "provides": [{"role": "chain"}]"#;
    let catalog = Catalog::merge([source(
        "s",
        1,
        &[entry("a", "1", &role("28.0")), entry("b", "1", &role("27.1.0")), entry("c", "1", plain)],
    )]);
    let ids = |version: Option<&str>| -> Vec<String> {
        let wanted = version.map(|it| semver::VersionReq::parse(it).unwrap());
        let offers = catalog.providers("chain", wanted.as_ref());
        offers.iter().map(|offer| offer.manifest().id.to_string()).collect()
    };
    assert_eq!(ids(None), ["a", "b", "c"]);
    assert_eq!(ids(Some(">=28")), ["a"]);
    assert_eq!(ids(Some("<28")), ["b"]);
    assert!(catalog.providers("other", None).is_empty());
}

#[test]
fn a_search_finds_words_best_first() {
    let entries = [
        entry("wiki", "1", r#", "category": "writing""#),
        entry("wiki-mirror", "1", ""),
        entry("journal", "1", r#", "metadata": {"tags": ["wiki", "diary"], "author": "Ann"}"#),
        entry("photos", "1", ""),
    ];
    let catalog = Catalog::merge([source("s", 1, &entries)]);
    for (text, expected) in [
        ("wiki", vec!["wiki", "wiki-mirror", "journal"]),
        ("WIKI mirror", vec!["wiki-mirror"]),
        ("ann diary", vec!["journal"]),
        ("things photos", vec!["photos"]),
        ("writ", vec!["wiki"]),
        ("nowhere", vec![]),
        ("  ", vec!["journal", "photos", "wiki", "wiki-mirror"]),
    ] {
        let found = catalog.search(text);
        let ids: Vec<_> = found.iter().map(|offer| offer.manifest().id.as_str()).collect();
        assert_eq!(ids, expected, "{text}");
    }
}

#[test]
fn versions_in_order() {
    let ordered = ["0.9", "1.0.0-rc.1", "1.0.0", "1.2", "1.10", "v2.0.0", "10.0.0"];
    for pair in ordered.windows(2) {
        assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
    }
    for (old, new) in [
        ("2026.09.1.2", "2026.10.1.1"),
        ("r9", "r10"),
        ("1.2.3.4", "1.2.3.10"),
        ("build-99999999999999999999999", "build-100000000000000000000000"),
    ] {
        assert_eq!(compare_versions(old, new), Ordering::Less, "{old} {new}");
        assert_eq!(compare_versions(new, old), Ordering::Greater, "{old} {new}");
    }
    assert_eq!(compare_versions("v1.0", "1.0.0"), Ordering::Equal);
}

proptest! {
    #[test]
    fn the_order_of_sources_does_not_matter(
        picks in prop::collection::vec((0..3usize, 0..4usize, 0..3u32), 1..8),
        seed in any::<prop::sample::Index>(),
    ) {
        let versions = ["1.0", "1.1", "v1.1.0", "x9"];
        let sources: Vec<_> = picks
            .iter()
            .map(|&(app, version, rank)| {
                source(&format!("s{rank}"), rank, &[entry(["a", "b", "c"][app], versions[version], "")])
            })
            .collect();
        let mut turned = sources.clone();
        turned.rotate_left(seed.index(sources.len()));
        turned.reverse();
        let count = sources.len();
        let (one, two) = (Catalog::merge(sources), Catalog::merge(turned));
        let mut listed = 0;
        for ((id, a), (other, b)) in one.iter().zip(two.iter()) {
            prop_assert_eq!(id, other);
            prop_assert_eq!(a.winner.entry.digest, b.winner.entry.digest);
            prop_assert!(a.shadowed.iter().all(|it| it.offer.rank >= a.winner.rank));
            listed += 1 + a.shadowed.len();
        }
        prop_assert_eq!(listed, count);
    }

    #[test]
    fn versions_are_totally_ordered(
        mut texts in prop::collection::vec("v?[0-2]{1,2}([.][0-2]|rc|-[a0-1][.]?[01]?|[+]x){0,3}", 3..8),
    ) {
        texts.sort_by(|a, b| compare_versions(a, b));
        for (place, a) in texts.iter().enumerate() {
            for b in &texts[place..] {
                prop_assert_ne!(compare_versions(a, b), Ordering::Greater);
                prop_assert_eq!(compare_versions(a, b), compare_versions(b, a).reverse());
            }
        }
    }

    #[test]
    fn semantic_versions_keep_their_order(
        a in "[0-2][.][0-2][.][0-2](-(rc|beta|1)([.][0-9])?)?",
        b in "[0-2][.][0-2][.][0-2](-(rc|beta|1)([.][0-9])?)?",
    ) {
        let parse = |text: &str| semver::Version::parse(text).unwrap();
        prop_assert_eq!(compare_versions(&a, &b), parse(&a).cmp_precedence(&parse(&b)));
    }

    #[test]
    fn no_document_panics(text in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(document::parse(&text));
    }
}
