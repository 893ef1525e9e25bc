//! Which headers pass: those of one hop do not, and the dashboard's cookies never reach an app.

use std::net::IpAddr;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

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

/// Headers that a `Connection` cannot take away: others decide by them.
const FIRM: [HeaderName; 5] =
    [header::HOST, header::ORIGIN, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::COOKIE];

/// Headers by which a client could claim to be somebody else.
const CLAIMS: [HeaderName; 6] =
    [header::FORWARDED, FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PROTO, REAL_IP];

/// What an app's answer may not say for the whole host, which is the dashboard's and other apps' as well.
const SITE_WIDE: [HeaderName; 2] =
    [header::STRICT_TRANSPORT_SECURITY, HeaderName::from_static("public-key-pins")];
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Names of the dashboard's cookies. Browsers share cookies between the ports of a host, so an app
/// would see them, and one that has a cookie of the same name would end the dashboard's session.
#[derive(Debug, Clone, Copy)]
pub struct Names(pub &'static [&'static str]);

impl Names {
    fn has(self, name: &[u8]) -> bool {
        self.0.iter().any(|ours| ours.as_bytes() == name)
    }
}

/// Before the name under which the browser keeps an app's cookie that is called like one of ours.
fn alias(port: u16) -> String {
    format!("app{port}-")
}

/// Removes what belongs to one hop; keeps the wish for a WebSocket, which is one of both ends. Other
/// upgrades would make a tunnel of the connection in which nobody looks at requests any more.
pub(crate) fn strip_hop(headers: &mut HeaderMap) {
    let socket = asks_upgrade(headers);
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = tokens(headers, header::CONNECTION)
            .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
            .filter(|name| !FIRM.contains(name))
            .collect();
        for name in &named {
            headers.remove(name);
        }
    }
    for name in &HOP {
        headers.remove(name);
    }
    headers.remove(header::UPGRADE);
    if socket {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// True when the connection is asked to become a WebSocket.
pub(crate) fn asks_upgrade(headers: &HeaderMap) -> bool {
    let mut wished = headers.get_all(header::UPGRADE).iter();
    let wished = (wished.next(), wished.next());
    matches!(wished, (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && tokens(headers, header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Who asks and how, as headers: the same for all requests of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    client: Option<HeaderValue>,
    proto: HeaderValue,
    port: HeaderValue,
}

impl Forwarded {
    pub(crate) fn new(client: IpAddr, secure: bool, port: u16) -> Self {
        Self {
            client: HeaderValue::from_str(&client.to_canonical().to_string()).ok(),
            proto: HeaderValue::from_static(if secure { "https" } else { "http" }),
            port: HeaderValue::from(port),
        }
    }

    /// Says who asks and how, in place of what the client claims.
    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        drop_spelled(headers, |name| CLAIMS.iter().any(|claim| claim.as_str() == name));
        headers.remove(header::FORWARDED);
        set_or_remove(headers, FORWARDED_FOR, self.client.clone());
        set_or_remove(headers, REAL_IP, self.client.clone());
        let host = headers.get(header::HOST).cloned();
        set_or_remove(headers, FORWARDED_HOST, host);
        headers.insert(FORWARDED_PORT, self.port.clone());
        headers.insert(FORWARDED_PROTO, self.proto.clone());
    }
}

fn set_or_remove(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

/// Drops headers by a name with underscores: many apps take `X_Real_IP` and `X-Real-IP` for the same
/// (CGI, RFC 3875, section 4.1.18).
fn drop_spelled(headers: &mut HeaderMap, which: impl Fn(&str) -> bool) {
    if !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let other =
        |name: &&HeaderName| name.as_str().contains('_') && which(&name.as_str().replace('_', "-"));
    let gone: Vec<HeaderName> = headers.keys().filter(other).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

/// Tells the app who is there, under this name and no other spelling of it.
pub(crate) fn identify(headers: &mut HeaderMap, name: &HeaderName, user: Option<&str>) {
    let plain = name.as_str().replace('_', "-");
    drop_spelled(headers, |other| other == plain);
    set_or_remove(headers, name.clone(), user.and_then(|user| HeaderValue::from_str(user).ok()));
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

fn pairs<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    let pairs = values.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.map(trim).filter(|pair| !pair.is_empty())
}

fn name_of(pair: &[u8]) -> &[u8] {
    trim(pair.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default())
}

/// Takes the dashboard's cookies out of a request, and gives the app back its own that the browser
/// keeps under another name. Works on bytes: a cookie need not be text.
pub(crate) fn filter_cookies(headers: &mut HeaderMap, ours: Names, port: u16) {
    let values = headers.get_all(header::COOKIE);
    // HTTP/2 may cut the line into pieces, which HTTP/1.1 must not (RFC 9113, section 8.2.3)
    let cut = values.iter().nth(1).is_some();
    let alias = alias(port);
    let own = |name: &[u8]| name.strip_prefix(alias.as_bytes()).is_some_and(|rest| ours.has(rest));
    let touched = |pair: &[u8]| ours.has(name_of(pair)) || own(name_of(pair));
    if !cut && !pairs(values.iter()).any(touched) {
        return;
    }
    let mut kept: Vec<u8> = Vec::new();
    for pair in pairs(values.iter()) {
        let name = name_of(pair);
        if ours.has(name) {
            continue;
        }
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(if own(name) {
            pair.get(alias.len()..).unwrap_or(pair)
        } else {
            pair
        });
    }
    headers.remove(header::COOKIE);
    if let (false, Ok(line)) = (kept.is_empty(), HeaderValue::from_bytes(&kept)) {
        headers.insert(header::COOKIE, line);
    }
}

/// Gives cookies of an app that are called like the dashboard's another name. One without a name is
/// dropped: browsers send it as its bare value, which could be `session=…`.
pub(crate) fn rename_cookies(headers: &mut HeaderMap, ours: Names, port: u16) {
    let touched = |value: &HeaderValue| {
        let name = name_of(value.as_bytes());
        name.is_empty() || ours.has(name)
    };
    if !headers.get_all(header::SET_COOKIE).iter().any(touched) {
        return;
    }
    let alias = alias(port);
    let renamed = |value: &HeaderValue| match value {
        value if !touched(value) => Some(value.clone()),
        value if name_of(value.as_bytes()).is_empty() => None,
        value => {
            let line = [alias.as_bytes(), trim(value.as_bytes())].concat();
            HeaderValue::from_bytes(&line).ok()
        }
    };
    let all: Vec<_> = headers.get_all(header::SET_COOKIE).iter().filter_map(renamed).collect();
    headers.remove(header::SET_COOKIE);
    for value in all {
        headers.append(header::SET_COOKIE, value);
    }
}

/// Drops what an app's answer says for the whole host: that it is reached over TLS alone, or that its
/// cookies, the dashboard's among them, be forgotten.
pub(crate) fn keep_to_itself(headers: &mut HeaderMap) {
    for name in &SITE_WIDE {
        headers.remove(name);
    }
    if !headers.contains_key(&CLEAR_SITE_DATA) {
        return;
    }
    let of_origin = |token: &&str| !matches!(*token, "\"cookies\"" | "\"*\"" | "\"clientHints\"");
    let all = tokens(headers, CLEAR_SITE_DATA).any(|token| token == "\"*\"");
    let kept: Vec<&str> = match all {
        true => vec!["\"cache\"", "\"storage\""],
        false => tokens(headers, CLEAR_SITE_DATA).filter(of_origin).collect(),
    };
    let line = HeaderValue::from_str(&kept.join(", ")).ok().filter(|line| !line.is_empty());
    set_or_remove(headers, CLEAR_SITE_DATA, line);
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

    fn line(name: &HeaderName, value: &[u8]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value).unwrap());
        headers
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
        let socket = map(&[("upgrade", "websocket"), ("connection", "upgrade")]);
        for (upgrade, kept) in [
            (&["websocket"][..], socket),
            (&["h2c"], HeaderMap::new()),
            (&["websocket, h2c"], HeaderMap::new()),
            (&["websocket", "h2c"], HeaderMap::new()),
        ] {
            let mut headers = map(&[("connection", "keep-alive, Upgrade, HTTP2-Settings")]);
            headers.insert("http2-settings", HeaderValue::from_static("AAMAAABkAAQAoAAAAAIAAAAA"));
            for one in upgrade {
                headers.append("upgrade", HeaderValue::from_static(one));
            }
            strip_hop(&mut headers);
            assert_eq!(headers, kept, "{upgrade:?}");
        }
        // what decides about a request cannot be named away
        let mut headers = map(&[("connection", "host, origin, cookie"), ("origin", "null")]);
        strip_hop(&mut headers);
        assert_eq!(headers, map(&[("origin", "null")]));
    }

    #[test]
    fn nobody_claims_to_be_another() {
        let mut headers = map(&[
            ("host", "node.local:8080"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x_forwarded_for", "1.2.3.4"),
            ("x_real-ip", "1.2.3.4"),
            ("x_mine", "1"),
        ]);
        Forwarded::new("::ffff:10.0.0.9".parse().unwrap(), true, 8080).set(&mut headers);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "node.local:8080");
        assert_eq!(headers["x-forwarded-port"], "8080");
        assert_eq!(headers["x_mine"], "1");
        for gone in ["forwarded", "x_forwarded_for", "x_real-ip"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        let mut headers = map(&[("x-user", "root"), ("x_user", "root")]);
        identify(&mut headers, &HeaderName::from_static("x-user"), Some("ann"));
        assert_eq!(headers, map(&[("x-user", "ann")]));
        identify(&mut headers, &HeaderName::from_static("x-user"), None);
        assert!(headers.is_empty());
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
            // a value that is no ASCII hides nothing
            ("theme=\u{fc}; session=secret", Some("theme=\u{fc}")),
            ("session =secret;csrf_token\t=x", None),
            ("a=session=1;;  session=secret ;b", Some("a=session=1; b")),
        ] {
            let mut headers = line(&header::COOKIE, given.as_bytes());
            filter_cookies(&mut headers, OURS, 80);
            let found = headers.get(header::COOKIE).map(HeaderValue::as_bytes);
            assert_eq!(found, passed.map(str::as_bytes), "{given}");
        }
    }

    #[test]
    fn an_apps_session_does_not_end_ours() {
        let mut headers = map(&[("set-cookie", "session=own; Path=/"), ("set-cookie", "b=2")]);
        rename_cookies(&mut headers, OURS, 80);
        let wanted = map(&[("set-cookie", "app80-session=own; Path=/"), ("set-cookie", "b=2")]);
        assert_eq!(headers, wanted);
        for (given, kept) in [
            // no ASCII, no name, spaces: each could end up as the dashboard's
            ("session=\u{fc}; Path=/", Some("app80-session=\u{fc}; Path=/")),
            ("  session  =own", Some("app80-session  =own")),
            ("=session=own; Path=/", None),
            ("; session=own", None),
            ("sessions=\u{fc}", Some("sessions=\u{fc}")),
        ] {
            let mut headers = line(&header::SET_COOKIE, given.as_bytes());
            rename_cookies(&mut headers, OURS, 80);
            let found = headers.get(header::SET_COOKIE).map(HeaderValue::as_bytes);
            assert_eq!(found, kept.map(str::as_bytes), "{given}");
        }
    }

    #[test]
    fn an_app_does_not_speak_for_the_whole_host() {
        for (given, kept) in [
            ("\"cookies\"", None),
            ("\"cache\", \"cookies\", \"storage\"", Some("\"cache\", \"storage\"")),
            ("\"*\"", Some("\"cache\", \"storage\"")),
        ] {
            let sent = [("clear-site-data", given), ("strict-transport-security", "max-age=9")];
            let mut headers = map(&sent);
            keep_to_itself(&mut headers);
            let found = headers.get("clear-site-data").map(|value| value.to_str().unwrap());
            assert_eq!(found, kept);
            assert!(!headers.contains_key("strict-transport-security"));
        }
    }
}
