//! Pictures of apps: the icon and the screenshots that a manifest names, out of the app's package.

use std::io::Read as _;
use std::path::Path as FilePath;
use std::sync::Arc;

use archy_api::Role;
use archy_api::access::Access;
use archy_catalog::Entry;
use archy_manifest::Manifest;
use archy_types::AppId;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::app::App;
use crate::net::Peer;
use crate::rpc::{self, Reply, access};

/// Where they are.
pub const PATH: &str = "/pictures/{app}/{*name}";

/// Largest picture in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// Longest icon inside the manifest, in bytes: it is part of the state.
const MAX_INLINE: usize = 16 << 10;
/// Most screenshots of an app.
const MAX_SCREENSHOTS: usize = 8;
/// A picture may hold styles and nothing that runs or is fetched.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox";

/// The icon's address, or the icon itself where the manifest holds it; empty when there is none.
#[must_use]
pub fn icon(manifest: &Manifest) -> String {
    let text = manifest.metadata.get("icon").and_then(Value::as_str).unwrap_or_default().trim();
    if text.starts_with("data:image/") && text.len() <= MAX_INLINE {
        return text.to_owned();
    }
    address(manifest, text).unwrap_or_default()
}

/// Addresses of the screenshots.
#[must_use]
pub fn screenshots(manifest: &Manifest) -> Vec<String> {
    named_screenshots(manifest).filter_map(|name| address(manifest, name)).collect()
}

fn named_screenshots(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let list = manifest.metadata.get("screenshots").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).take(MAX_SCREENSHOTS)
}

fn address(manifest: &Manifest, name: &str) -> Option<String> {
    kind(name).map(|_| format!("/pictures/{}/{name}", manifest.id))
}

/// The type of a picture by its name; nothing for a name that is no plain path below a package.
fn kind(name: &str) -> Option<&'static str> {
    let plain = |part: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(known)
    };
    if name.len() > 200 || !name.split('/').all(plain) {
        return None;
    }
    match name.rsplit_once('.')?.1 {
        "svg" => Some("image/svg+xml"),
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        _ => None,
    }
}

/// `GET /pictures/<app>/<name>`, for whoever is signed in.
pub async fn serve(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Path((id, name)): Path<(String, String)>,
) -> Response {
    let asked = Access::read(Role::AppUser);
    if let Err(error) = access::check(&app, peer, &headers, "pictures", asked).await {
        return rpc::single(Reply { id: None, outcome: Err(error) });
    }
    let offer = match AppId::new(&id) {
        Ok(id) => app.catalog.find(&id).await,
        Err(_) => None,
    };
    let picture = offer.and_then(|offer| tokio::task::block_in_place(|| read(&offer.entry, &name)));
    match picture {
        Some((kind, bytes)) => {
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::CACHE_CONTROL, "private, max-age=600"),
            ];
            (headers, bytes).into_response()
        }
        None => (StatusCode::NOT_FOUND, "Not found.\n").into_response(),
    }
}

/// A picture that the manifest names and that lies inside the package. Blocks.
fn read(entry: &Entry, name: &str) -> Option<(&'static str, Vec<u8>)> {
    let manifest = &entry.manifest;
    let icon = manifest.metadata.get("icon").and_then(Value::as_str).map(str::trim);
    let named = icon == Some(name) || named_screenshots(manifest).any(|one| one == name);
    let kind = kind(name).filter(|_| named)?;
    inside(entry.dir.as_deref()?, name).map(|bytes| (kind, bytes))
}

/// The file's bytes when it is a regular file, not too large, and no link leads out of the directory.
fn inside(dir: &FilePath, name: &str) -> Option<Vec<u8>> {
    let path = dir.join(name).canonicalize().ok()?;
    if !path.starts_with(dir.canonicalize().ok()?) || !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&path).ok()?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn entry(dir: &FilePath, metadata: &str) -> Entry {
        let text = format!(
            "app:\n  id: one\n  name: One\n  version: 1.0.0\n  description: One.\n  services:\n    \
             main: {{ image: \"registry.example/one:1\" }}\n  metadata: {metadata}\n"
        );
        crate::catalog::parse(text.into_bytes(), Some(dir.to_owned())).unwrap()
    }

    #[test]
    fn only_plain_names_of_pictures_have_an_address() {
        let cases = [
            ("icon.svg", true),
            ("shots/first-page.png", true),
            ("../icon.svg", false),
            ("/etc/icon.svg", false),
            (".hidden.png", false),
            ("shots/..//a.png", false),
            ("icon.html", false),
            ("icon.svg?x", false),
            ("https://elsewhere.example/icon.png", false),
            ("", false),
        ];
        for (name, is) in cases {
            assert_eq!(kind(name).is_some(), is, "{name}");
        }
    }

    #[test]
    fn a_picture_is_read_where_the_manifest_names_it_and_it_lies_inside() {
        let dir = tempfile::tempdir().unwrap();
        let (package, out) = (dir.path().join("one"), dir.path().join("out.png"));
        fs::create_dir(&package).unwrap();
        fs::write(package.join("icon.svg"), "<svg/>").unwrap();
        fs::write(package.join("other.png"), "other").unwrap();
        fs::write(&out, "out").unwrap();
        std::os::unix::fs::symlink(&out, package.join("link.png")).unwrap();
        let one = entry(&package, "{ icon: icon.svg, screenshots: [link.png, a.png, 7] }");
        assert_eq!(icon(&one.manifest), "/pictures/one/icon.svg");
        assert_eq!(screenshots(&one.manifest), ["/pictures/one/link.png", "/pictures/one/a.png"]);
        assert_eq!(read(&one, "icon.svg"), Some(("image/svg+xml", b"<svg/>".to_vec())));
        for name in ["other.png", "link.png", "a.png", "../out.png"] {
            assert_eq!(read(&one, name), None, "{name}");
        }
        let far = entry(&package, "{ icon: \"https://elsewhere.example/icon.png\" }");
        assert_eq!(icon(&far.manifest), "");
        let inline = entry(&package, "{ icon: \"data:image/png;base64,AAAA\" }");
        assert_eq!(icon(&inline.manifest), "data:image/png;base64,AAAA");
    }
}
