//! Login with a linked signer, through a real relay and a signer of another implementation.

use std::sync::Arc;

use archy_identity::relay::{Env, Roots, Timings};
use serde_json::{Value, json};

use super::PATIENCE;
use super::doors::second_factor;
use crate::bunker::{Bunker, Mood};
use crate::node::{Answer, Browser, Node, PASSWORD};
use crate::relay::{Manner, Relay};

struct Stand {
    node: Node,
    owner: Browser,
    bunker: Bunker,
    identity: Value,
    _relay: Relay,
}

impl Stand {
    /// A node with an identity whose key a signer holds.
    async fn start() -> Self {
        let node = Node::start().await;
        let owner = node.owner().await;
        let relay = Relay::start(Manner::default()).await;
        let clock = Arc::new(archipelago::clock::now);
        let env = Env { timings: Timings::default(), roots: Roots::default(), clock };
        let bunker = Bunker::start(&[relay.url()], &env, Mood::Willing).await;
        let mut stand = Self { node, owner, bunker, identity: Value::Null, _relay: relay };
        let params = json!({"name": "Phone", "bunker_uri": stand.bunker.uri()});
        let linked = stand.call("identity.link-nip46", params).await;
        assert_eq!(linked.code(), "none", "{:?}", linked.body);
        stand.identity = linked.json()["result"]["id"].clone();
        stand
    }

    async fn page(&self, method: &str, params: Value, more: &[(&'static str, String)]) -> Answer {
        let mut headers = more.to_vec();
        let origin = format!("https://localhost:{}", self.node.address().port());
        headers.push(("origin", origin));
        self.node.call(method, params, &headers).await
    }

    async fn call(&self, method: &str, params: Value) -> Answer {
        self.page(method, params, &self.owner.headers()).await
    }

    /// Asks until there is an outcome.
    async fn outcome(
        &self,
        method: &str,
        id: &Value,
        headers: &[(&'static str, String)],
    ) -> Answer {
        let ask = async {
            loop {
                let answer = self.page(method, json!({"attempt_id": id}), headers).await;
                if answer.json()["result"]["status"] != "pending" {
                    return answer;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ask).await.unwrap()
    }

    async fn enrol(&self) -> Answer {
        let params = json!({"identity_id": self.identity, "password": PASSWORD});
        let started = self.call("auth.signer.enrol.start", params).await;
        assert_eq!(started.code(), "none", "{:?}", started.body);
        let id = started.json()["result"]["attempt_id"].clone();
        let mut headers = self.owner.headers();
        headers[0].1 = format!("{}; {}", headers[0].1, binding(&started));
        self.outcome("auth.signer.enrol.finish", &id, &headers).await
    }

    /// Begins a login; gives the attempt's id and the browser's cookies.
    async fn begin(&self, more: &[(&'static str, String)]) -> (Value, Vec<(&'static str, String)>) {
        let started = self.page("auth.login.signer.start", json!({}), more).await;
        assert_eq!(started.code(), "none", "{:?}", started.body);
        let result = started.json()["result"].clone();
        assert_eq!(result["code"].as_str().unwrap().len(), 4);
        (result["attempt_id"].clone(), vec![("cookie", binding(&started))])
    }

    async fn available(&self) -> Value {
        self.page("auth.login.signer.available", json!({}), &[]).await.json()["result"].clone()
    }
}

fn binding(started: &Answer) -> String {
    let line = started.cookies()[0].clone();
    for part in
        ["signer_login_", "HttpOnly", "SameSite=Strict", "Path=/rpc/", "Max-Age=120", "Secure"]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
    line[..line.find(';').unwrap()].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_opens_the_node_for_the_browser_that_asked() {
    let stand = Stand::start().await;
    assert_eq!(stand.available().await, false);
    let none = stand.page("auth.login.signer.start", json!({}), &[]).await;
    assert_eq!(none.code(), "signer-unavailable");
    // a wrong password, a key of the node's own
    let wrong = json!({"identity_id": stand.identity, "password": "wrong one"});
    let wrong = stand.call("auth.signer.enrol.start", wrong).await;
    assert_eq!(wrong.code(), "password-incorrect");
    let own = stand.call("identity.create", json!({"name": "Own"})).await.json();
    let own = json!({"identity_id": own["result"]["id"], "password": PASSWORD});
    assert_eq!(stand.call("auth.signer.enrol.start", own).await.code(), "signer-not-linked");
    let enrolled = stand.enrol().await.json()["result"].clone();
    assert_eq!(enrolled["status"], "enrolled", "{enrolled}");
    assert_eq!(enrolled["identity_id"], stand.identity);
    assert_eq!(enrolled["pubkey"], stand.bunker.user.public_key().to_hex());
    assert_eq!(enrolled["quick_approval"], true);
    let list = stand.call("auth.signer.list", json!({})).await.json();
    assert_eq!(list["result"][0]["name"], "Phone");
    assert_eq!(stand.available().await, true);
    let (id, cookies) = stand.begin(&[]).await;
    // whoever sees the attempt's id has nothing without the cookie
    let foreign =
        [("cookie", format!("signer_login_{}={}", &id.as_str().unwrap()[..8], "0".repeat(64)))];
    for headers in [&[][..], &foreign] {
        let answer =
            stand.page("auth.login.signer.finish", json!({"attempt_id": id}), headers).await;
        assert_eq!(answer.code(), "signer-login-ended");
        assert!(answer.cookies().is_empty());
    }
    let entered = stand.outcome("auth.login.signer.finish", &id, &cookies).await;
    assert_eq!(entered.json()["result"]["status"], "approved", "{:?}", entered.body);
    let browser = Browser::of(&entered);
    let who = stand.node.call("auth.whoami", json!({}), &browser.headers()).await.json();
    assert_eq!(who["result"]["user"], "owner");
    // once only
    let twice = stand.page("auth.login.signer.finish", json!({"attempt_id": id}), &cookies).await;
    assert_eq!(twice.code(), "signer-login-ended");
    let status = stand.call("auth.signer.status", json!({})).await.json();
    assert_eq!(status["result"]["recent"][0]["outcome"], "approved");
    assert_eq!(status["result"]["recent"][0]["identity_id"], stand.identity);
    // an identity that is deleted opens nothing any more
    let gone = stand.call("identity.delete", json!({"id": stand.identity})).await;
    assert_eq!(gone.code(), "none");
    assert_eq!(stand.call("auth.signer.list", json!({})).await.json()["result"], json!([]));
    assert_eq!(stand.available().await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_waits_and_the_password_ends_the_wait() {
    let stand = Stand::start().await;
    assert_eq!(stand.enrol().await.json()["result"]["status"], "enrolled");
    stand.bunker.set_mood(Mood::Refusing);
    let (id, cookies) = stand.begin(&[]).await;
    let refused = stand.outcome("auth.login.signer.finish", &id, &cookies).await;
    assert_eq!(refused.code(), "signer-login-ended");
    assert!(refused.cookies().is_empty());
    assert_eq!(stand.available().await, false);
    let paused = stand.page("auth.login.signer.start", json!({}), &[]).await;
    assert_eq!(paused.code(), "signer-unavailable");
    let status = stand.call("auth.signer.status", json!({})).await.json();
    assert!(status["result"]["paused_until"].is_i64(), "{status}");
    let words: Vec<_> = status["result"]["recent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["refused-budget", "denied", "approved"]);
    stand.node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(stand.available().await, true);
    // a signer that answers with another event than it was asked for
    stand.bunker.set_mood(Mood::Forging);
    let (id, cookies) = stand.begin(&[]).await;
    let forged = stand.outcome("auth.login.signer.finish", &id, &cookies).await;
    assert_eq!(forged.code(), "signer-login-ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_second_factor_a_signer_replaces_the_code_and_nothing_more() {
    let stand = Stand::start().await;
    assert_eq!(stand.enrol().await.json()["result"]["status"], "enrolled");
    second_factor(&stand.node, &stand.owner).await;
    assert_eq!(stand.available().await, false);
    let alone = stand.page("auth.login.signer.start", json!({}), &[]).await;
    assert_eq!(alone.code(), "signer-unavailable");
    let half = stand.node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(half.json()["result"], json!({"requires_totp": true, "signer": true}));
    let line = half.cookies()[0].clone();
    let half = [("cookie", line[..line.find(';').unwrap()].to_owned())];
    let (id, cookies) = stand.begin(&half).await;
    let entered = stand.outcome("auth.login.signer.finish", &id, &cookies).await;
    assert_eq!(entered.json()["result"]["status"], "approved", "{:?}", entered.body);
    let browser = Browser::of(&entered);
    assert!(!half[0].1.contains(&browser.session), "the token is another");
    let removed = json!({"identity_id": stand.identity, "password": PASSWORD});
    let removed = stand.call("auth.signer.remove", removed).await;
    assert_eq!(removed.json()["result"]["removed"], true);
    let half = stand.node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(half.json()["result"]["signer"], false);
}
