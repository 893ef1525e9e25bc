//! Image references and build contexts.

use super::{Rules, Written};
use crate::check::shorten;
use crate::model::ImageSource;
use crate::path::Path;

/// What a reference says.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'t> {
    /// Without tag and digest.
    name: &'t str,
    qualified: bool,
    tag: Option<&'t str>,
    digest: Option<&'t str>,
}

/// Reads an image reference (OCI distribution spec, "Pulling manifests"; registry part as in
/// containers-registries). Nothing when it is none.
fn parse(text: &str) -> Option<Reference<'_>> {
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:")?;
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
    }
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name.get(last..)?.find(':') {
        Some(colon) => (name.get(..last + colon)?, Some(name.get(last + colon + 1..)?)),
        None => (name, None),
    };
    if tag.is_some_and(|tag| !tag_valid(tag)) {
        return None;
    }
    let (registry, rest) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (Some(first), rest)
        }
        _ => (None, name),
    };
    let path_valid = rest.split('/').all(|part| {
        !part.is_empty()
            && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
    });
    let registry_valid = registry.is_none_or(|registry| {
        registry
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
    });
    (path_valid && registry_valid).then_some(Reference {
        name,
        qualified: registry.is_some(),
        tag,
        digest,
    })
}

impl Reference<'_> {
    /// The whole reference of an image on Docker Hub, with a version where it has none.
    fn in_full(&self) -> String {
        let owner = if self.name.contains('/') { "" } else { "library/" };
        let tag = match (self.tag, self.digest) {
            (None | Some("latest"), None) => ":1.2.3".to_owned(),
            (tag, _) => tag.map(|tag| format!(":{tag}")).unwrap_or_default(),
        };
        let digest = self.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("docker.io/{owner}{}{tag}{digest}", self.name)
    }
}

fn tag_valid(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl Rules<'_, '_, '_> {
    pub(super) fn source(&mut self, written: &Written<'_>) -> ImageSource {
        let (container, path) = (written.container, &written.path);
        match (&container.image, &container.build) {
            (Some(image), None) => {
                self.image(image, &path.key("image"));
                ImageSource::Image(image.clone())
            }
            (None, Some(build)) => {
                let base = path.key("build");
                let context = build.context.as_deref().unwrap_or(".");
                let file = build.containerfile.as_deref().unwrap_or("Containerfile");
                let context = self.package_path(context, &base.key("context"));
                let containerfile = self.package_path(file, &base.key("containerfile"));
                ImageSource::Build {
                    context: context.unwrap_or_default(),
                    containerfile: containerfile.unwrap_or_default(),
                    args: build.args.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                }
            }
            (Some(_), Some(_)) => {
                let message = "`image` and `build` are both written";
                self.error("conflicting-keys", &path.key("build"), message, "keep one of the two");
                ImageSource::Image(String::new())
            }
            (None, None) => {
                let message = "neither `image` nor `build` is written";
                let mend = "add `image: registry.example/owner/name:1.0`";
                self.error("missing-key", &path.key("image"), message, mend);
                ImageSource::Image(String::new())
            }
        }
    }

    fn image(&mut self, text: &str, path: &Path) {
        let shown = shorten(text);
        let Some(reference) = parse(text) else {
            let message = format!("`{shown}` is not an image reference");
            let mend = "write `registry.example/owner/name:tag`, lower case, without spaces";
            return self.error("invalid-image", path, message, mend);
        };
        if !reference.qualified {
            let message = format!("`{shown}` names no registry");
            let mend = format!("write it in full, for example `{}`", shorten(&reference.in_full()));
            return self.error("unqualified-image", path, message, mend);
        }
        match (reference.tag, reference.digest) {
            (None, None) => {
                let message = format!("`{shown}` has neither a tag nor a digest");
                self.error("untagged-image", path, message, "add a tag such as `:1.2.3`");
            }
            (Some("latest"), None) => {
                let message = "`latest` means another image every time";
                let mend = "name a version such as `:1.2.3`, or add the digest `@sha256:…`";
                self.warn("latest-image", path, message, mend);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned = format!("ghcr.io/a/b:1@{digest}");
        for (text, expected) in [
            ("ghcr.io/a/b:1.2", Some((true, Some("1.2"), None))),
            ("localhost/a:dev", Some((true, Some("dev"), None))),
            ("registry:5000/a", Some((true, None, None))),
            ("registry.example:5000/a:1", Some((true, Some("1"), None))),
            (pinned.as_str(), Some((true, Some("1"), Some(digest.as_str())))),
            ("nginx:1", Some((false, Some("1"), None))),
            ("library/nginx", Some((false, None, None))),
            ("", None),
            ("A/b:1", None),
            ("ghcr.io/a b:1", None),
            ("ghcr.io/a:", None),
            ("ghcr.io/a@sha256:short", None),
            ("ghcr.io/{{X}}:1", None),
        ] {
            let found = parse(text).map(|r| (r.qualified, r.tag, r.digest));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_reference_in_full_has_a_version() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let pinned = format!("nginx@{digest}");
        let full = format!("docker.io/library/nginx@{digest}");
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx:1.2.3"),
            ("nginx:latest", "docker.io/library/nginx:1.2.3"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("owner/web", "docker.io/owner/web:1.2.3"),
            (pinned.as_str(), full.as_str()),
        ] {
            assert_eq!(parse(text).unwrap().in_full(), expected);
        }
    }
}
