//! The dashboard: its files, which are part of the program, and the policy that they are served with.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};

/// A file of the dashboard, with its compressed twins where it gains by them.
#[derive(Debug, Clone, Copy)]
struct Asset {
    path: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    br: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// The built dashboard by path; empty when the program was built without one.
const BUILT: &[Asset] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// What is served when there is none: how to make one.
const FALLBACK: &[Asset] = &[
    Asset {
        path: "/index.html",
        kind: "text/html; charset=utf-8",
        plain: include_bytes!("../assets/index.html"),
        br: None,
        gzip: None,
    },
    Asset {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        plain: include_bytes!("../assets/style.css"),
        br: None,
        gzip: None,
    },
];

/// First parts of the addresses that the page itself shows (`web/src/router.ts`).
const PLACES: &[&str] = &["", "apps", "discover", "system", "nostr-signer"];

/// The one address that apps' pages of this host show in a frame: there the owner is asked before
/// something is signed (NIP-07).
pub const SIGNER: &str = archy_identity::nip07::SIGNER_PATH;

/// Our own files only: no inline script or style, no code from text. Who may frame it is added.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; manifest-src 'self'; \
                      worker-src 'self'; base-uri 'none'; form-action 'none'";
/// Nobody may frame the page.
const UNFRAMED: &str = "frame-ancestors 'none'";

/// Hashed files never change under their name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Answers with a file of the dashboard, with the page for the addresses that it shows, or with 404.
pub async fn serve(request: Request<Body>) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return missing();
    }
    let files = if BUILT.is_empty() { FALLBACK } else { BUILT };
    let path = request.uri().path();
    let place = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let found = find(files, path);
    let page = || find(files, "/index.html").filter(|_| PLACES.contains(&place));
    match found.or_else(page) {
        Some(asset) => answer(asset, request.headers(), path == SIGNER),
        None => missing(),
    }
}

fn find<'a>(files: &'a [Asset], path: &str) -> Option<&'a Asset> {
    files.iter().find(|asset| asset.path == path)
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "Not found.\n").into_response()
}

fn answer(asset: &Asset, headers: &HeaderMap, signer: bool) -> Response {
    let (encoding, body) = encoded(asset, headers);
    let mut response = Body::from(body).into_response();
    let out = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| {
        out.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_TYPE, asset.kind);
    set(header::VARY, "accept-encoding");
    set(header::CACHE_CONTROL, caching(asset.path));
    if let Some(encoding) = encoding {
        set(header::CONTENT_ENCODING, encoding);
    }
    out.insert(header::CONTENT_SECURITY_POLICY, policy(headers, signer));
    response
}

fn caching(path: &str) -> &'static str {
    match path {
        "/index.html" | "/sw.js" => "no-store",
        path if path.starts_with("/assets/") => FOR_EVER,
        _ => "no-cache",
    }
}

/// The best form of a file that the client takes.
fn encoded(asset: &Asset, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    let forms = [("br", asset.br), ("gzip", asset.gzip)];
    let takes = |form: &str| {
        let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
        lists.flat_map(|list| list.split(',')).any(|one| accepts(one, form))
    };
    forms
        .into_iter()
        .find_map(|(form, body)| body.filter(|_| takes(form)).map(|body| (Some(form), body)))
        .unwrap_or((None, asset.plain))
}

/// Does one member of `Accept-Encoding` allow this form?
fn accepts(member: &str, form: &str) -> bool {
    let mut parts = member.split(';').map(str::trim);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(form));
    let weight = parts.find_map(|part| part.strip_prefix("q=")).unwrap_or("1");
    named && weight.parse::<f32>().is_ok_and(|weight| weight > 0.0)
}

/// The page's policy; apps of this host, on whichever port, may be shown in a frame, and may themselves
/// frame the signer.
fn policy(headers: &HeaderMap, signer: bool) -> HeaderValue {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let host = host.as_ref().map(|host| host.host()).filter(|host| is_name(host));
    let text = match host {
        Some(host) if signer => {
            format!("{POLICY}; frame-ancestors 'self' https://{host}:* http://{host}:*")
        }
        Some(host) => {
            format!("{POLICY}; {UNFRAMED}; frame-src https://{host}:* http://{host}:*")
        }
        None => format!("{POLICY}; {UNFRAMED}"),
    };
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(UNFRAMED))
}

/// A host name or an IPv4 address: policies know no other hosts.
fn is_name(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Asset = Asset {
        path: "/a.js",
        kind: "text/javascript",
        plain: b"p",
        br: Some(b"b"),
        gzip: Some(b"g"),
    };

    #[test]
    fn the_best_form_that_is_taken() {
        for (given, expected) in [
            ("", None),
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip, deflate", Some("gzip")),
            ("br;q=0, gzip;q=0.5", Some("gzip")),
            ("BR", Some("br")),
            ("brotli, *", None),
            ("br;q=x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(given));
            assert_eq!(encoded(&FILE, &headers).0, expected, "{given}");
        }
    }

    #[test]
    fn only_apps_of_this_host_are_framed_and_frame_the_signer() {
        for (host, framed) in [
            ("home.local", Some("https://home.local:* http://home.local:*")),
            ("10.0.0.1:8443", Some("https://10.0.0.1:* http://10.0.0.1:*")),
            ("[::1]:443", None),
            ("a;script-src *", None),
            ("*", None),
            ("a@b'", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            let shown = policy(&headers, false);
            let shown = shown.to_str().unwrap();
            assert_eq!(shown.split("frame-src ").nth(1), framed, "{host}");
            assert!(shown.starts_with(POLICY) && !shown.contains("unsafe"), "{host}");
            assert!(shown.contains(UNFRAMED), "{host}");
            let signer = policy(&headers, true);
            let signer = signer.to_str().unwrap();
            let ancestors = framed.map_or("'none'".to_owned(), |list| format!("'self' {list}"));
            assert_eq!(signer.split("frame-ancestors ").nth(1), Some(ancestors.as_str()), "{host}");
            assert!(signer.starts_with(POLICY) && !signer.contains("unsafe"), "{host}");
        }
    }

    #[test]
    fn names_of_files_decide_how_long_they_are_kept() {
        assert_eq!(caching("/assets/index-abc.js"), FOR_EVER);
        assert_eq!(caching("/index.html"), "no-store");
        assert_eq!(caching("/sw.js"), "no-store");
        assert_eq!(caching("/icon.svg"), "no-cache");
    }

    #[test]
    fn what_was_built_is_whole() {
        // a program built without a dashboard has nothing to check here
        for asset in BUILT {
            assert!(asset.path.starts_with('/') && !asset.plain.is_empty(), "{}", asset.path);
        }
        assert!(BUILT.is_empty() || find(BUILT, "/index.html").is_some());
    }
}
