//! The app manifest: schema, parser, diagnostics, templates.
//!
//! Ring 0: text in, values out. `schema` is what an author writes, `model` is what the rest of
//! the project reads: one shape for one container and for many, defaults filled in.
//!
//! Reading goes in three steps, all findings in one list: `yaml` makes a tree with positions in
//! bounded work, `check` compares it with the JSON Schema of `schema`, `rules` makes the model and
//! reports what the schema cannot say.

pub mod codes;
pub mod diagnostic;
pub mod docs;
pub mod model;
pub mod names;
pub mod path;
pub mod pattern;
pub mod schema;
pub mod setting;
pub mod starter;
pub mod template;
pub mod yaml;

mod check;
mod rules;
mod sink;
mod value;

use serde::Deserialize as _;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use model::Manifest;
pub use rules::{
    DATA_ROOT, PLAIN_CAPABILITIES, WEIGHTY_CAPABILITIES, device_allowed, lenient_version,
};
pub use starter::starter;

/// A manifest that was read, with everything found about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The manifest; nothing when there is an error.
    pub manifest: Option<Manifest>,
    /// What was found, errors and warnings, in the order of lines.
    pub diagnostics: Diagnostics,
}

/// Reads a manifest: YAML or JSON, at most [`yaml::MAX_BYTES`] bytes. Never panics; work is bounded
/// for any input.
#[must_use]
pub fn parse(text: &[u8]) -> Parsed {
    let (_, manifest, diagnostics) = read(text);
    Parsed { manifest, diagnostics }
}

/// Reads what the author wrote, without defaults, together with the findings. The document is
/// there unless the text could not be read to its end.
#[must_use]
pub fn parse_document(text: &[u8]) -> (Option<schema::Document>, Diagnostics) {
    let (document, _, diagnostics) = read(text);
    (document, diagnostics)
}

impl Manifest {
    /// Reads a manifest and refuses it when there is an error; warnings are dropped.
    ///
    /// # Errors
    /// Everything that was found, warnings as well.
    pub fn parse(text: &[u8]) -> Result<Self, Diagnostics> {
        let Parsed { manifest, diagnostics } = parse(text);
        manifest.ok_or(diagnostics)
    }

    /// The node's port that takes the place of a `host` port: the chosen one, else itself. Nothing when
    /// no service publishes it. Where one number is published for both protocols, TCP's.
    #[must_use]
    pub fn host_port(
        &self,
        port: u16,
        chosen: &std::collections::BTreeMap<(u16, model::Protocol), u16>,
    ) -> Option<u16> {
        let ports = self.services.values().flat_map(|service| &service.ports);
        let of = |protocol| {
            let same = |known: &&model::Port| known.host == port && known.protocol == protocol;
            let known = ports.clone().find(same)?;
            Some(chosen.get(&(known.host, protocol)).copied().unwrap_or(known.host))
        };
        of(model::Protocol::Tcp).or_else(|| of(model::Protocol::Udp))
    }
}

fn read(bytes: &[u8]) -> (Option<schema::Document>, Option<Manifest>, Diagnostics) {
    let text = match yaml::text(bytes) {
        Ok(text) => text,
        Err(finding) => {
            let readable = String::from_utf8_lossy(bytes.get(..yaml::MAX_BYTES).unwrap_or(bytes));
            let mut sink = sink::Sink::new(&readable);
            sink.reader(finding);
            return (None, None, Diagnostics(sink.finish()));
        }
    };
    let tree = yaml::read(text);
    let mut sink = sink::Sink::new(text);
    for finding in tree.findings {
        sink.reader(finding);
    }
    let Some(root) = &tree.root else { return (None, None, Diagnostics(sink.finish())) };
    sink.set_root(root);
    let (document, manifest) = interpret(root, &mut sink);
    (document, manifest, Diagnostics(sink.finish()))
}

fn interpret<'a>(
    root: &'a yaml::Node,
    sink: &mut sink::Sink<'a>,
) -> (Option<schema::Document>, Option<Manifest>) {
    rules::forbidden(root, sink);
    let value = check::check(root, sink);
    match schema::Document::deserialize(value) {
        Ok(document) => {
            let manifest = rules::lower(&document, sink);
            (Some(document), manifest)
        }
        Err(error) => {
            let mend = "compare it with the reference";
            let path = path::Path::root();
            sink.report(Severity::Error, "wrong-type", &path, error.to_string(), mend);
            (None, None)
        }
    }
}
