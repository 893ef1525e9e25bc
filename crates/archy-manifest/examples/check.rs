//! Prints what is found about manifests.
use std::io::Write as _;
fn main() {
    for name in std::env::args().skip(1) {
        let parsed = archy_manifest::parse(&std::fs::read(&name).unwrap_or_default());
        let text = format!(
            "{}\nmanifest: {}\n",
            parsed.diagnostics.render(&name),
            parsed.manifest.is_some()
        );
        let _ = std::io::stdout().write_all(text.as_bytes());
    }
}
