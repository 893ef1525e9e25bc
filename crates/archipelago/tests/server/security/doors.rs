//! One budget of guesses for all doors, and nothing told about which part was wrong.

use std::net::{Ipv4Addr, SocketAddr};

use archipelago::app_gate::{COOKIES, Keeper};
use archy_proxy::{Access, Gate, Limits, Page, Rule};
use archy_types::AppId;
use http::{Request, StatusCode};
use hyper::body::Bytes;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use totp_rs::{Builder, Secret};

use crate::node::{Answer, Browser, Node, PASSWORD, exchange};

/// The port of an app, guarded by this node's sessions.
pub(super) struct Port {
    pub(super) at: SocketAddr,
    _gate: Gate<Keeper>,
}

impl Port {
    pub(super) fn before(node: &Node, upstream: SocketAddr) -> Self {
        let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = free.local_addr().unwrap();
        drop(free);
        let app = &node.daemon.app;
        let (stop, tasks) = (app.stop.clone(), TaskTracker::new());
        let keeper = Keeper::new(app.clone());
        let mut gate = Gate::new(keeper, COOKIES, Limits::default(), None, stop, tasks);
        let rule = Rule {
            app: AppId::new("blog").unwrap(),
            title: "Blog".into(),
            port: at.port(),
            upstream,
            access: Access::Gated,
            identity_header: None,
            page: Page::default(),
            siblings: Vec::new(),
        };
        gate.set(&[rule], &[at.ip()]);
        Self { at, _gate: gate }
    }

    pub(super) async fn login(&self, form: &str, cookie: &str) -> Answer {
        let request = Request::post("/.archipelago/login").header("host", "localhost");
        let body = Bytes::copy_from_slice(form.as_bytes());
        let request = request.header("cookie", cookie).body(body.into()).unwrap();
        exchange(TcpStream::connect(self.at).await.unwrap(), request).await
    }
}

fn nowhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 1))
}

/// Switches the owner's second factor on.
pub(super) async fn second_factor(node: &Node, owner: &Browser) {
    let headers = owner.headers();
    let setup = node.call("auth.totp.setup", json!({"password": PASSWORD}), &headers).await.json();
    let secret = Secret::try_from_base32(setup["result"]["secret"].as_str().unwrap()).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let now = u64::try_from(archipelago::clock::now().0 / 1000).unwrap();
    let params = json!({"code": totp.generate(now).to_string()});
    assert_eq!(node.call("auth.totp.enable", params, &headers).await.code(), "none");
}

fn cookie(answer: &Answer) -> Vec<(&'static str, String)> {
    let line = &answer.cookies()[0];
    vec![("cookie", line[..line.find(';').unwrap()].to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn all_doors_share_one_budget_of_guesses() {
    let node = Node::start().await;
    let owner = node.owner().await;
    second_factor(&node, &owner).await;
    let port = Port::before(&node, nowhere());
    let half = cookie(&node.call("auth.login", json!({"password": PASSWORD}), &[]).await);
    let headers = owner.headers();
    // five guesses, each at another door
    let wrong = json!({"password": "wrong password"});
    assert_eq!(node.call("auth.login", wrong.clone(), &[]).await.code(), "password-incorrect");
    let device = json!({"device_token": "archy_device_00"});
    assert_eq!(node.call("auth.login", device.clone(), &[]).await.code(), "password-incorrect");
    let code = json!({"code": "000000"});
    assert_eq!(node.call("auth.login.totp", code.clone(), &half).await.code(), "code-incorrect");
    let form = "password=wrong+password";
    assert_eq!(port.login(form, "").await.status, StatusCode::UNAUTHORIZED);
    let again = json!({"name": "phone", "password": "wrong password"});
    let made = node.call("auth.createDeviceToken", again.clone(), &headers).await;
    assert_eq!(made.code(), "password-incorrect");
    // and now every door is shut, for the right password as well
    let right = json!({"password": PASSWORD});
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    for (method, params, headers) in [
        ("auth.login", right.clone(), &[][..]),
        ("auth.login", device, &[]),
        ("auth.login.totp", code.clone(), &half),
        ("auth.login.backup", code, &half),
        ("auth.createDeviceToken", json!({"name": "a", "password": PASSWORD}), &headers),
        ("auth.changePassword", change, &headers),
        ("auth.totp.disable", right.clone(), &headers),
        ("identity.export-keys", json!({"id": "x", "password": PASSWORD}), &headers),
    ] {
        let answer = node.call(method, params, headers).await;
        assert_eq!(answer.code(), "rate-limited", "{method}");
    }
    let mut page = vec![("origin", format!("https://localhost:{}", node.address().port()))];
    page.extend(half.clone());
    let signer = node.call("auth.login.signer.start", json!({}), &page).await;
    assert_eq!(signer.code(), "rate-limited");
    let shut = port.login(&format!("password={}", PASSWORD.replace(' ', "+")), "").await;
    assert_eq!(shut.status, StatusCode::TOO_MANY_REQUESTS);
    let shut = port.login("code=000000", &half[0].1).await;
    assert_eq!(shut.status, StatusCode::TOO_MANY_REQUESTS);
    // a session that is there goes on, and the node itself is asked for nothing
    assert_eq!(node.call("auth.whoami", json!({}), &headers).await.code(), "none");
    assert_eq!(node.local("auth.login", right).await.code(), "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_address_gives_no_fresh_guesses() {
    let node = Node::start().await;
    node.owner().await;
    for n in 0..6 {
        let claims = [
            ("x-forwarded-for", format!("10.0.0.{n}")),
            ("x-real-ip", format!("10.0.0.{n}")),
            ("forwarded", format!("for=10.0.0.{n}")),
        ];
        let answer = node.call("auth.login", json!({"password": "wrong one"}), &claims).await;
        let wanted = if n < 5 { "password-incorrect" } else { "rate-limited" };
        assert_eq!(answer.code(), wanted, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_counted_one_by_one_in_a_batch() {
    let node = Node::start().await;
    node.owner().await;
    let guess = r#"{"method":"auth.login","params":{"password":"wrong password"}}"#;
    let batch = format!("[{}]", [guess; 12].join(","));
    let answer = node.send(crate::node::post(batch, &[])).await.json();
    let codes: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["error"]["data"]["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes[..5], ["password-incorrect"; 5]);
    assert_eq!(codes[5..], ["rate-limited"; 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apps_port_tells_no_more_than_the_dashboard() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let port = Port::before(&node, nowhere());
    let params = json!({"name": "ann", "password": PASSWORD, "role": "AppUser"});
    node.call("users.create", params, &owner.headers()).await;
    let mut pages = Vec::new();
    for form in ["user=ann&password=wrong+one", "user=nobody&password=wrong+one", "password="] {
        let answer = port.login(form, "").await;
        assert!(answer.cookies().is_empty());
        pages.push((answer.status, answer.body));
    }
    pages.dedup();
    assert_eq!(pages.len(), 1);
    // one of the dashboard's sessions opens the port; half a login does not
    let request = |cookie: String| {
        Request::get("/")
            .header("host", "localhost")
            .header("cookie", cookie)
            .body(Bytes::new().into())
    };
    for (cookie, status) in [
        (format!("session={}", owner.session), StatusCode::BAD_GATEWAY),
        (format!("theme=ü; session={}", owner.session), StatusCode::BAD_GATEWAY),
        ("session=00".to_owned(), StatusCode::UNAUTHORIZED),
        (format!("xsession={}", owner.session), StatusCode::UNAUTHORIZED),
    ] {
        let stream = TcpStream::connect(port.at).await.unwrap();
        let answer = exchange(stream, request(cookie.clone()).unwrap()).await;
        assert_eq!(answer.status, status, "{cookie}");
    }
}
