//! Requests that two readers could understand in two ways are refused before anybody reads them
//! (request smuggling, header injection). Framing is hyper's: a request is written anew for the app.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Version};

/// Makes `Host` the one name of the host that a request has; says why that cannot be done.
pub(crate) fn settle<B>(request: &mut Request<B>) -> Result<(), StatusCode> {
    // a tunnel to anywhere, and an echo of what scripts must not see
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let star = path == "*" && *request.method() == Method::OPTIONS;
    if !path.starts_with('/') && !path.is_empty() && !star {
        return Err(StatusCode::BAD_REQUEST);
    }
    // HTTP/2 names the host in the target (RFC 9113, section 8.3.1), HTTP/1.1 may do so as well
    let target = request.uri().authority().map(|authority| {
        let host = authority.as_str();
        host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned()
    });
    let version = request.version();
    let headers = request.headers_mut();
    match (one_host(headers)?, target) {
        (Some(host), Some(target)) if !host.eq_ignore_ascii_case(&target) => {
            return Err(StatusCode::BAD_REQUEST);
        }
        (None, Some(target)) => {
            let host = HeaderValue::from_str(&target).map_err(|_| StatusCode::BAD_REQUEST)?;
            headers.insert(header::HOST, host);
        }
        // RFC 9112, section 3.2
        (None, None) if version >= Version::HTTP_11 => return Err(StatusCode::BAD_REQUEST),
        _ => {}
    }
    Ok(())
}

fn one_host(headers: &HeaderMap) -> Result<Option<&str>, StatusCode> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let Some(host) = hosts.next() else { return Ok(None) };
    let text = host.to_str().map_err(|_| StatusCode::BAD_REQUEST)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if hosts.next().is_some() || !text.bytes().all(plain) {
        return Err(StatusCode::BAD_REQUEST);
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_host() {
        for (target, version, hosts, outcome) in [
            ("/a", Version::HTTP_11, &["n.local:80"][..], Ok("n.local:80")),
            ("/a", Version::HTTP_11, &["[fe80::1]:80"], Ok("[fe80::1]:80")),
            ("/a", Version::HTTP_11, &[], Err(400)),
            ("/a", Version::HTTP_10, &[], Ok("")),
            ("/a", Version::HTTP_11, &["n", "n"], Err(400)),
            ("/a", Version::HTTP_11, &["n/../"], Err(400)),
            ("/a", Version::HTTP_11, &["a@n"], Err(400)),
            ("http://n.local:80/a", Version::HTTP_11, &["N.local:80"], Ok("N.local:80")),
            ("http://evil/a", Version::HTTP_11, &["n"], Err(400)),
            ("https://n/a", Version::HTTP_2, &[], Ok("n")),
            ("https://u@n/a", Version::HTTP_2, &[], Ok("n")),
            ("https://n/a", Version::HTTP_2, &["evil"], Err(400)),
        ] {
            let mut request = Request::builder().uri(target).version(version);
            for host in hosts {
                request = request.header("host", *host);
            }
            let mut request = request.body(()).unwrap();
            let found = settle(&mut request).map_err(|status| status.as_u16());
            let host = request.headers().get("host").map_or("", |host| host.to_str().unwrap());
            assert_eq!(found.map(|()| host), outcome, "{target} {hosts:?}");
        }
        for (method, target, code) in
            [("TRACE", "/", 405), ("CONNECT", "n:80", 405), ("GET", "*", 400)]
        {
            let request = Request::builder().method(method).uri(target).header("host", "n");
            let found = settle(&mut request.body(()).unwrap());
            assert_eq!(found.map_err(|status| status.as_u16()), Err(code), "{method}");
        }
        let star = Request::options("*").header("host", "n").body(());
        assert_eq!(settle(&mut star.unwrap()), Ok(()));
    }
}
