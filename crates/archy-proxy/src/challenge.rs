//! What is told to somebody without a session: a page to log in to people, a code to machines.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode, Uri};
use http_body_util::{Either, Full};

use crate::forward::{Outgoing, Unanswered};
use crate::page::{ancestors, node_of};
use crate::rule::Rule;

/// Paths of the gate's own on a gated port.
pub(crate) const OWN: &str = "/.archipelago/";
/// Where the password goes.
pub(crate) const LOGIN: &str = "/.archipelago/login";
/// The look of the gate's pages.
pub(crate) const STYLE: &str = "/.archipelago/gate.css";

const CSS: &str = include_str!("gate.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors ";

/// What the gate's own answers may do: nothing but send the form. The dashboard, which shows apps in
/// frames, may frame them, and pages of this node besides.
pub(crate) fn policy(host: Option<&HeaderValue>) -> HeaderValue {
    let host = host.and_then(|host| host.to_str().ok());
    let ancestors = host.map_or_else(|| "'none'".to_owned(), |host| ancestors(node_of(host)));
    HeaderValue::from_str(&format!("{POLICY}{ancestors}"))
        .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// A request that could be understood in two ways, or that nobody may make.
pub(crate) fn unsound(status: StatusCode) -> Response<Outgoing> {
    let body = r#"{"error":{"code":"request-refused","message":"This request is not one that the gate passes on."}}"#;
    let mut response = text(status, "application/json", body.to_owned());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// What the page says above its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Say {
    /// The first time.
    Welcome,
    /// The password was wrong.
    Wrong,
    /// A code of the second factor is needed.
    Code,
    /// That code was wrong.
    WrongCode,
    /// The password was typed too long ago.
    Expired,
    /// Too many were.
    TooMany(Duration),
    /// There is none yet.
    NotSetUp,
    /// It could not be checked.
    Failed,
}

/// True for a browser that wants to show a page.
pub(crate) fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).into_iter();
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    matches!(*method, Method::GET | Method::HEAD) && accepts.any(|text| text.contains("text/html"))
}

/// Nobody passes without a session.
pub(crate) fn denied(rule: &Rule, page: bool, many: bool, next: &str) -> Response<Outgoing> {
    if page {
        return login_page(rule, Say::Welcome, many, next);
    }
    let body = r#"{"error":{"code":"session-missing","message":"This port needs a session of the dashboard."}}"#;
    let mut response = text(StatusCode::UNAUTHORIZED, "application/json", body.to_owned());
    let scheme = HeaderValue::from_static("Archipelago realm=\"dashboard\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    response
}

/// A page of somebody else's does not write here.
pub(crate) fn foreign() -> Response<Outgoing> {
    let body = r#"{"error":{"code":"origin-refused","message":"A page of another app or site may not do this."}}"#;
    text(StatusCode::FORBIDDEN, "application/json", body.to_owned())
}

/// Not everybody with a session may use every app.
pub(crate) fn not_theirs(rule: &Rule, wants: bool) -> Response<Outgoing> {
    let words = "You may not use this app. Whoever looks after this node can allow it.";
    if wants {
        let body = format!("<h1>{}</h1><p>{words}</p>", escape(&rule.title));
        return page(StatusCode::FORBIDDEN, &rule.title, &body);
    }
    let body = format!(r#"{{"error":{{"code":"app-not-allowed","message":"{words}"}}}}"#);
    text(StatusCode::FORBIDDEN, "application/json", body)
}

/// A script of the gate's.
pub(crate) fn script(text_of_it: &'static str) -> Response<Outgoing> {
    text(StatusCode::OK, "text/javascript; charset=utf-8", text_of_it.to_owned())
}

/// The page to log in; with `many` users it asks for a name.
pub(crate) fn login_page(rule: &Rule, say: Say, many: bool, next: &str) -> Response<Outgoing> {
    let (status, words) = words(say);
    let words = match words.as_str() {
        "" => words,
        _ => format!("<p class=\"error\" role=\"alert\">{}</p>", escape(&words)),
    };
    let (lead, fields) = match say {
        Say::Code | Say::WrongCode => {
            ("Enter the code of your authenticator app.", CODE.to_owned())
        }
        _ if many => ("Log in to this node to open it.", format!("{NAME}{PASSWORD}")),
        _ => ("Log in to this node to open it.", PASSWORD.to_owned()),
    };
    let body = format!(
        "<h1>{title}</h1><p>{lead}</p>{words}\
         <form method=\"post\" action=\"{LOGIN}\">\
         <input type=\"hidden\" name=\"next\" value=\"{next}\">{fields}\
         <button type=\"submit\">Log in</button></form>",
        title = escape(&rule.title),
        next = escape(next),
    );
    page(status, &rule.title, &body)
}

const NAME: &str = "<label for=\"user\">Name</label>\
    <input id=\"user\" name=\"user\" autocomplete=\"username\" maxlength=\"64\" placeholder=\"owner\">";
const PASSWORD: &str = "<label for=\"password\">Password</label>\
    <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" \
    required autofocus maxlength=\"1024\">";
const CODE: &str = "<label for=\"code\">Code</label>\
    <input id=\"code\" name=\"code\" autocomplete=\"one-time-code\" required autofocus \
    maxlength=\"64\">";

fn words(say: Say) -> (StatusCode, String) {
    let (status, words) = match say {
        Say::Welcome | Say::Code => (StatusCode::UNAUTHORIZED, ""),
        Say::Wrong => (StatusCode::UNAUTHORIZED, "That name or password is not right."),
        Say::WrongCode => (StatusCode::UNAUTHORIZED, "That code is not right."),
        Say::Expired => (StatusCode::UNAUTHORIZED, "That took too long. Begin again."),
        Say::NotSetUp => (
            StatusCode::UNAUTHORIZED,
            "This node has no password yet. Set one on the dashboard first.",
        ),
        Say::Failed => {
            (StatusCode::SERVICE_UNAVAILABLE, "The password could not be checked. Try again.")
        }
        Say::TooMany(wait) => {
            let seconds = wait.as_secs().max(1);
            let words = format!("Too many attempts. Try again in {seconds} seconds.");
            return (StatusCode::TOO_MANY_REQUESTS, words);
        }
    };
    (status, words.to_owned())
}

/// The app is not there.
pub(crate) fn absent(rule: &Rule, why: Unanswered, cause: &str, wants: bool) -> Response<Outgoing> {
    let (status, code, words) = match why {
        Unanswered::Away => (StatusCode::BAD_GATEWAY, "app-away", "does not answer"),
        Unanswered::Late => (StatusCode::GATEWAY_TIMEOUT, "app-late", "did not answer in time"),
    };
    let message = format!("{} {words}. {cause}", rule.title);
    let mut response = if wants {
        let body = format!(
            "<h1>{}</h1><p>{}</p><p><a href=\"\">Try again</a></p>",
            escape(&rule.title),
            escape(&message)
        );
        page(status, &rule.title, &body)
    } else {
        let error = format!(
            "{{\"error\":{{\"code\":\"{code}\",\"message\":\"{}\"}}}}",
            message.replace(['"', '\\', '\n', '\r', '\t'], " ")
        );
        text(status, "application/json", error)
    };
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Sends a browser to another place.
pub(crate) fn redirect(
    status: StatusCode,
    to: &str,
    cookies: Vec<HeaderValue>,
) -> Response<Outgoing> {
    let mut response = text(status, "text/plain; charset=utf-8", String::new());
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The style sheet of the gate's pages.
pub(crate) fn style() -> Response<Outgoing> {
    text(StatusCode::OK, "text/css; charset=utf-8", CSS.to_owned())
}

/// A short answer.
pub(crate) fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Outgoing> {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // with no referrer at all browsers would send the form with `Origin: null`
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn page(status: StatusCode, title: &str, body: &str) -> Response<Outgoing> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><link rel=\"stylesheet\" href=\"{STYLE}\"></head>\
         <body><main>{body}</main></body></html>",
        escape(title)
    );
    text(status, "text/html; charset=utf-8", html)
}

/// Where to go after a login: a path on this port, nothing else.
pub(crate) fn safe_next(next: &str) -> &str {
    let local = next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/\\");
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic());
    if local && plain && next.len() <= 2048 && !next.starts_with(OWN) { next } else { "/" }
}

/// The path of a request as a place to come back to.
pub(crate) fn place(uri: &Uri) -> &str {
    safe_next(uri.path_and_query().map_or("/", |path| path.as_str()))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host() {
        for (next, to) in [
            ("/photos?a=1&b=2", "/photos?a=1&b=2"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a b", "/"),
            ("/a\r\nx: y", "/"),
            ("/.archipelago/login", "/"),
            ("", "/"),
        ] {
            assert_eq!(safe_next(next), to);
        }
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
