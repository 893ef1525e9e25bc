//! Plain HTTP: everything is sent on to HTTPS.

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri, header};

/// A router that redirects to `https_port` of the same host, and answers what `open` answers.
pub fn router(https_port: u16, open: Router) -> Router {
    open.fallback(move |headers: http::HeaderMap, uri: Uri| async move {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        match host.and_then(|host| location(host, https_port, &uri)) {
            Some(location) => {
                (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
            }
            None => refused(),
        }
    })
}

fn refused() -> Response {
    (StatusCode::BAD_REQUEST, "The Host header is missing or not a host name.\n").into_response()
}

fn location(host: &str, https_port: u16, uri: &Uri) -> Option<String> {
    let authority: http::uri::Authority = host.parse().ok()?;
    if host.contains('@') {
        return None;
    }
    let port = if https_port == 443 { String::new() } else { format!(":{https_port}") };
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Some(format!("https://{}{port}{path}", authority.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations() {
        for (host, port, uri, expected) in [
            ("node.local", 443, "/a?b=c", Some("https://node.local/a?b=c")),
            ("node.local:80", 8443, "/", Some("https://node.local:8443/")),
            ("[::1]:80", 443, "/x", Some("https://[::1]/x")),
            ("a@b", 443, "/", None),
            ("a b", 443, "/", None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(location(host, port, &uri).as_deref(), expected, "{host}");
        }
    }
}
