//! Which headers pass: those of one hop do not, and the dashboard's cookies never reach an app.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers of one hop (RFC 9110, section 7.6.1).
const HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
];

/// Headers by which a client could claim to be somebody else.
const CLAIMS: [HeaderName; 6] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// Names of the dashboard's cookies. Browsers share cookies between the ports of a host, so an app
/// would see them, and one that has a cookie of the same name would end the dashboard's session.
#[derive(Debug, Clone, Copy)]
pub struct Names(pub &'static [&'static str]);

impl Names {
    fn has(self, name: &str) -> bool {
        self.0.contains(&name)
    }
}

/// Before the name under which the browser keeps an app's cookie that is called like one of ours.
fn alias(port: u16) -> String {
    format!("app{port}-")
}

/// Removes what belongs to one hop; keeps an upgrade, which is a wish of both ends.
pub(crate) fn strip_hop(headers: &mut HeaderMap) {
    let upgrade = headers.get(header::UPGRADE).filter(|_| asks_upgrade(headers)).cloned();
    let named: Vec<HeaderName> = tokens(headers, header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .collect();
    for name in named.iter().chain(&HOP) {
        headers.remove(name);
    }
    headers.remove(header::UPGRADE);
    if let Some(upgrade) = upgrade {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// True when the connection is asked to become another protocol, such as a WebSocket.
pub(crate) fn asks_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        && tokens(headers, header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Says who asks and how, in place of what the client claims.
pub(crate) fn set_forwarded(headers: &mut HeaderMap, client: IpAddr, secure: bool, port: u16) {
    for name in &CLAIMS {
        headers.remove(name);
    }
    let client = client.to_canonical().to_string();
    let host = headers.get(header::HOST).cloned();
    let set = [
        ("x-forwarded-for", HeaderValue::from_str(&client).ok()),
        ("x-real-ip", HeaderValue::from_str(&client).ok()),
        ("x-forwarded-host", host),
        ("x-forwarded-port", HeaderValue::from_str(&port.to_string()).ok()),
        (
            "x-forwarded-proto",
            Some(HeaderValue::from_static(if secure { "https" } else { "http" })),
        ),
    ];
    for (name, value) in set {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Takes the dashboard's cookies out of a request, and gives the app back its own that the browser
/// keeps under another name.
pub(crate) fn filter_cookies(headers: &mut HeaderMap, ours: Names, port: u16) {
    let touched = |line: &str| ours.0.iter().any(|name| line.contains(name));
    let values = headers.get_all(header::COOKIE);
    // HTTP/2 may cut the line into pieces, which HTTP/1.1 must not (RFC 9113, section 8.2.3)
    let cut = values.iter().nth(1).is_some();
    if !cut && !values.iter().any(|value| value.to_str().is_ok_and(touched)) {
        return;
    }
    let alias = alias(port);
    let pairs = values.iter().filter_map(|value| value.to_str().ok());
    let pairs = pairs.flat_map(|line| line.split(';')).map(str::trim);
    let kept: Vec<String> = pairs
        .filter_map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            match name.strip_prefix(&alias) {
                Some(own) if ours.has(own) => pair.strip_prefix(&alias).map(str::to_owned),
                _ => (!pair.is_empty() && !ours.has(name)).then(|| pair.to_owned()),
            }
        })
        .collect();
    headers.remove(header::COOKIE);
    if let (false, Ok(line)) = (kept.is_empty(), HeaderValue::from_str(&kept.join("; "))) {
        headers.insert(header::COOKIE, line);
    }
}

/// Gives cookies of an app that are called like the dashboard's another name.
pub(crate) fn rename_cookies(headers: &mut HeaderMap, ours: Names, port: u16) {
    let name = |value: &HeaderValue| {
        let text = value.to_str().ok()?;
        ours.has(text.split('=').next()?.trim()).then(|| text.trim().to_owned())
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(|value| name(value).is_some()) {
        return;
    }
    let alias = alias(port);
    let all: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| match name(value) {
            Some(text) => HeaderValue::from_str(&format!("{alias}{text}")).ok(),
            None => Some(value.clone()),
        })
        .collect();
    headers.remove(header::SET_COOKIE);
    for value in all {
        headers.append(header::SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Names = Names(&["session", "csrf_token"]);

    fn map(lines: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = lines.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            map.append(name, value);
        });
        map
    }

    #[test]
    fn what_is_of_one_hop_stays_there() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("x-secret", "1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("accept", "*/*"),
        ]);
        strip_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
        let mut headers = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        strip_hop(&mut headers);
        assert_eq!(headers, map(&[("upgrade", "websocket"), ("connection", "upgrade")]));
    }

    #[test]
    fn nobody_claims_to_be_another() {
        let mut headers = map(&[
            ("host", "node.local:8080"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
        ]);
        set_forwarded(&mut headers, "::ffff:10.0.0.9".parse().unwrap(), true, 8080);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "node.local:8080");
        assert!(!headers.contains_key("forwarded"));
    }

    #[test]
    fn cookies_of_the_dashboard_never_reach_an_app() {
        for (given, passed) in [
            ("a=1; session=secret; csrf_token=x", Some("a=1")),
            ("session=secret", None),
            ("app80-session=own; session=secret", Some("session=own")),
            ("app81-session=other; b=2; session=s", Some("app81-session=other; b=2")),
            ("sessions=2", Some("sessions=2")),
            ("a=1", Some("a=1")),
        ] {
            let mut headers = map(&[("cookie", given)]);
            filter_cookies(&mut headers, OURS, 80);
            let found = headers.get(header::COOKIE).map(|value| value.to_str().unwrap());
            assert_eq!(found, passed, "{given}");
        }
    }

    #[test]
    fn an_apps_session_does_not_end_ours() {
        let mut headers = map(&[("set-cookie", "session=own; Path=/"), ("set-cookie", "b=2")]);
        rename_cookies(&mut headers, OURS, 80);
        let wanted = map(&[("set-cookie", "app80-session=own; Path=/"), ("set-cookie", "b=2")]);
        assert_eq!(headers, wanted);
    }
}
