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

/// The value of a cookie in a request; the first of that name.
#[must_use]
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
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
    }
}
