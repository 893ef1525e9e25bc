//! Any bytes: `parse` never panics, and refuses exactly when it reports an error.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parsed = archy_manifest::parse(bytes);
    assert_eq!(parsed.manifest.is_none(), parsed.diagnostics.has_errors());
    let _ = parsed.diagnostics.render("manifest.yml");
    if parsed.manifest.is_some() {
        let (document, _) = archy_manifest::parse_document(bytes);
        let written = serde_json::to_vec(&document).unwrap();
        assert_eq!(archy_manifest::parse(&written).manifest, parsed.manifest);
    }
});
