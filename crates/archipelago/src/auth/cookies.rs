//! The cookies of a session and of a browser that is remembered, and reading them back.

use archy_api::paths::{
    CSRF_COOKIE as CSRF, REMEMBER_COOKIE as REMEMBER, SESSION_COOKIE as SESSION,
};
use http::{HeaderMap, HeaderValue, header};

/// Adds the two `Set-Cookie` headers of a session; `secure` when the request came over HTTPS.
pub fn set(headers: &mut HeaderMap, token: &str, csrf: &str, secure: bool, max_age_secs: i64) {
    let tail = tail(secure, max_age_secs);
    append(headers, &format!("{SESSION}={token}; HttpOnly; {tail}"));
    append(headers, &format!("{CSRF}={csrf}; {tail}"));
}

/// Adds the header of a login that waits for its code: no session yet, and no CSRF token.
pub fn set_half(headers: &mut HeaderMap, token: &str, secure: bool, max_age_secs: i64) {
    append(headers, &format!("{SESSION}={token}; HttpOnly; {}", tail(secure, max_age_secs)));
}

/// Adds the header by which a browser is remembered.
pub fn set_remember(headers: &mut HeaderMap, token: &str, secure: bool, max_age_secs: i64) {
    append(headers, &format!("{REMEMBER}={token}; HttpOnly; {}", tail(secure, max_age_secs)));
}

/// Adds the header that binds an attempt to log in with a signer to the browser that began it.
pub fn set_binding(headers: &mut HeaderMap, name: &str, token: &str, secure: bool) {
    let secs = archy_identity::login::ATTEMPT_MILLIS / 1000;
    let secure = if secure { "; Secure" } else { "" };
    let tail = format!("Path=/rpc/; SameSite=Strict; Max-Age={secs}{secure}");
    append(headers, &format!("{name}={token}; HttpOnly; {tail}"));
}

/// Adds the headers that take the cookies away.
pub fn clear(headers: &mut HeaderMap, secure: bool) {
    set(headers, "", "", secure, 0);
    set_remember(headers, "", secure, 0);
}

fn tail(secure: bool, max_age_secs: i64) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("Path=/; SameSite=Strict; Max-Age={max_age_secs}{secure}")
}

fn append(headers: &mut HeaderMap, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// The value of a cookie in a request; the first of that name. Other cookies of the host, which an
/// app may have set, can hold anything: they do not hide this one.
#[must_use]
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    all(headers, name).next()
}

/// The cookies whose names begin so.
pub fn beginning<'a>(
    headers: &'a HeaderMap,
    start: &str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let text = pairs.filter_map(|pair| std::str::from_utf8(pair.trim_ascii()).ok());
    text.filter(move |pair| pair.starts_with(start)).filter_map(|pair| pair.split_once('='))
}

/// The values of all cookies of a name. An app's page can add one of the same name for a longer path,
/// which browsers send first.
pub fn all<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.filter_map(move |pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(std::str::from_utf8(value).ok()?.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_apart_and_read_back() {
        let mut out = HeaderMap::new();
        set(&mut out, "aa", "bb", true, 60);
        let lines: Vec<_> =
            out.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap()).collect();
        let tail = "Path=/; SameSite=Strict; Max-Age=60; Secure";
        assert_eq!(
            lines,
            [format!("session=aa; HttpOnly; {tail}"), format!("csrf_token=bb; {tail}")]
        );
        let mut request = HeaderMap::new();
        request.append(header::COOKIE, "x=1; session=aa".parse().unwrap());
        request.append(header::COOKIE, "csrf_token=\"bb\"; session2=no".parse().unwrap());
        assert_eq!(get(&request, SESSION), Some("aa"));
        assert_eq!(get(&request, CSRF), Some("bb"));
        assert_eq!(get(&request, "y"), None);
        // what an app has set hides nothing
        let line = HeaderValue::from_bytes(b"theme=\xff; session=cc; session=dd").unwrap();
        let request = HeaderMap::from_iter([(header::COOKIE, line)]);
        assert_eq!(all(&request, SESSION).collect::<Vec<_>>(), ["cc", "dd"]);
    }
}
