//! Who may frame the gate's own pages, and what they may do.

use archy_proxy::Access;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::stand::Stand;
use crate::{COOKIE, empty, get, send, text};

#[tokio::test]
async fn the_gates_own_answers_are_locked_down() {
    let mut stand = Stand::new(Access::Gated).await;
    let page = |path: &str, cookie: &'static str| {
        empty(get(path).header("accept", "text/html").header("cookie", cookie))
    };
    let mut answers = Vec::new();
    for (path, cookie) in [
        ("/", ""),
        ("/.archipelago/login", ""),
        ("/.archipelago/gate.css", ""),
        ("/.archipelago/nothing", ""),
        ("/", "session=other"),
    ] {
        answers.push((path, send(stand.at, page(path, cookie)).await));
    }
    answers.push(("a program", send(stand.at, empty(get("/"))).await));
    let foreign = get("/").method("POST").header("cookie", COOKIE).header("origin", "null");
    answers.push(("a foreign page", send(stand.at, empty(foreign)).await));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    stand
        .gate
        .set(&[archy_proxy::Rule { upstream: nobody, ..stand.rule.clone() }], &[stand.at.ip()]);
    answers.push(("an app that is away", send(stand.at, page("/", COOKIE)).await));
    for (name, answer) in answers {
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
        // the dashboard of this node, on its own port, shows apps in frames
        let framed = "frame-ancestors 'self' https://node.local:* http://node.local:*";
        assert!(policy.ends_with(framed), "{name}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{name}: {policy}");
        for (header, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
        ] {
            assert_eq!(headers[header], value, "{name}");
        }
    }
    // a host that is none leads to no hole in the policy
    let odd = get("/").header("accept", "text/html");
    let odd = odd.uri("/").header("host", "a;script-src *");
    let odd = send(stand.at, empty(odd)).await;
    assert!(!odd.headers()["content-security-policy"].to_str().unwrap().contains("script-src"));
}

#[tokio::test]
async fn a_form_of_a_page_without_referrer_is_its_own() {
    let stand = Stand::new(Access::Gated).await;
    let post = |origin: &str, site: &'static str| {
        let request = Request::post("/count").header("host", "node.local:8080");
        let request = request.header("cookie", COOKIE).header("origin", origin);
        request.header("sec-fetch-site", site).body(Full::new(Bytes::from("x"))).unwrap()
    };
    for (origin, site, code) in [
        ("null", "same-origin", 200),
        ("null", "same-site", 403),
        ("null", "cross-site", 403),
        ("https://evil.example", "same-origin", 403),
    ] {
        let answer = send(stand.at, post(origin, site)).await;
        assert_eq!(answer.status().as_u16(), code, "{origin} {site}");
    }
}

#[tokio::test]
async fn nobody_is_told_which_part_was_wrong() {
    let stand = Stand::new(Access::Gated).await;
    let mut pages = Vec::new();
    for body in ["user=owner&password=no", "user=nobody&password=no", "password=", ""] {
        let form = Request::post("/.archipelago/login").header("host", "node.local:8080");
        let answer = send(stand.at, form.body(Full::new(Bytes::from(body))).unwrap()).await;
        assert!(!answer.headers().contains_key("set-cookie"));
        pages.push((answer.status(), text(answer).await));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1, "{pages:?}");
}
