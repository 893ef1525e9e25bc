//! Pages of other ports on the same host share its cookies; they may not write to a guarded port, nor
//! open a WebSocket there (cross-site request forgery, cross-site WebSocket hijacking).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};

use crate::headers::asks_upgrade;

/// Where a browser says a request comes from (Fetch Metadata Request Headers, section 2.4). Scripts
/// cannot set it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// True unless a browser says that a page of somebody else's sends this. Ports in `siblings` are of the
/// same app.
pub(crate) fn may_write(method: &Method, uri: &Uri, headers: &HeaderMap, siblings: &[u16]) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if reads && !asks_upgrade(headers) {
        return true;
    }
    let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    let Some(origin) = headers.get(header::ORIGIN) else {
        return !matches!(site, Some(b"cross-site" | b"same-site"));
    };
    // forms of pages with `Referrer-Policy: no-referrer` are sent so; only browsers set the other header
    if origin.as_bytes() == b"null" && site == Some(b"same-origin") {
        return true;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let (Some(host), Ok(origin)) = (host, origin.to_str()) else { return false };
    let Some((scheme, origin)) = origin.split_once("://") else { return false };
    if origin.eq_ignore_ascii_case(host) {
        return true;
    }
    let usual = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
    let (from, from_port) = split(origin, usual);
    let (to, _) = split(host, usual);
    from.eq_ignore_ascii_case(to) && siblings.contains(&from_port)
}

fn split(host: &str, usual: u16) -> (&str, u16) {
    match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name, port),
        _ => (host, usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_ports_do_not_write() {
        let uri = Uri::from_static("/");
        for (method, origin, upgrade, may) in [
            ("GET", Some("http://n.local:81"), false, true),
            ("POST", None, false, true),
            ("POST", Some("http://n.local:80"), false, true),
            ("POST", Some("http://n.local:82"), false, true),
            ("POST", Some("http://n.local:81"), false, false),
            ("POST", Some("https://n.local"), false, false),
            ("POST", Some("https://evil.example:82"), false, false),
            ("POST", Some("null"), false, false),
            ("GET", Some("http://n.local:81"), true, false),
            ("GET", Some("http://n.local:80"), true, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "n.local:80".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            if upgrade {
                headers.insert(header::UPGRADE, "websocket".parse().unwrap());
                headers.insert(header::CONNECTION, "Upgrade".parse().unwrap());
            }
            let found = may_write(&method.parse().unwrap(), &uri, &headers, &[80, 82]);
            assert_eq!(found, may, "{method} {origin:?} {upgrade}");
        }
        for (origin, site, may) in [
            (Some("null"), Some("same-origin"), true),
            (Some("null"), Some("same-site"), false),
            (Some("null"), Some("cross-site"), false),
            (None, Some("same-origin"), true),
            (None, Some("none"), true),
            (None, Some("same-site"), false),
            (None, Some("cross-site"), false),
            (Some("http://n.local:81"), Some("same-origin"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "n.local:80".parse().unwrap());
            for (name, value) in [(header::ORIGIN, origin), (FETCH_SITE, site)] {
                value.map(|value| headers.insert(name, value.parse().unwrap()));
            }
            let found = may_write(&Method::POST, &uri, &headers, &[80, 82]);
            assert_eq!(found, may, "{origin:?} {site:?}");
        }
    }
}
