//! The second factor, passkeys, the first steps, and the node's certificates.

use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use totp_rs::{Builder, Secret};

use crate::node::{Answer, Browser, Node, PASSWORD, exchange};

/// The code of now, or of so many half minutes later.
fn code(secret: &str, later: u64) -> String {
    let secret = Secret::try_from_base32(secret).unwrap();
    let totp = Builder::new().with_secret(secret).build().unwrap();
    let now = archipelago::clock::now().0 / 1000;
    totp.generate(u64::try_from(now).unwrap() + later * 30).to_string()
}

fn half(answer: &Answer) -> Vec<(&'static str, String)> {
    assert_eq!(answer.json()["result"], json!({"requires_totp": true, "signer": false}));
    let cookies = answer.cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    vec![("cookie", cookies[0][..cookies[0].find(';').unwrap()].to_owned())]
}

/// Switches the owner's second factor on; gives its secret and the backup codes.
async fn second_factor(node: &Node, owner: &Browser) -> (String, Vec<String>) {
    let headers = owner.headers();
    let early = node.call("auth.totp.enable", json!({"code": "123456"}), &headers).await;
    assert_eq!(early.code(), "totp-not-begun");
    let setup = node.call("auth.totp.setup", json!({"password": PASSWORD}), &headers).await.json();
    let secret = setup["result"]["secret"].as_str().unwrap().to_owned();
    assert!(setup["result"]["uri"].as_str().unwrap().starts_with("otpauth://totp/"));
    // nothing is asked for before a first code
    let status = node.call("auth.totp.status", json!({}), &headers).await.json();
    assert_eq!(status["result"]["enabled"], false);
    let bad = node.call("auth.totp.enable", json!({"code": "000000"}), &headers).await;
    assert_eq!(bad.code(), "code-incorrect");
    let params = json!({"code": code(&secret, 0)});
    let on = node.call("auth.totp.enable", params, &headers).await.json();
    let codes = on["result"]["backup_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_a_second_factor() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let (secret, backup) = second_factor(&node, &owner).await;
    let login = || node.call("auth.login", json!({"password": PASSWORD}), &[]);
    let waiting = half(&login().await);
    // half a login opens nothing
    for method in ["auth.whoami", "server.get-state", "auth.totp.status"] {
        assert_eq!(node.call(method, json!({}), &waiting).await.code(), "unauthorized");
    }
    let totp = |code: String, headers: Vec<(&'static str, String)>| {
        let node = &node;
        async move { node.call("auth.login.totp", json!({ "code": code }), &headers).await }
    };
    assert_eq!(totp(code(&secret, 1), Vec::new()).await.code(), "login-expired");
    assert_eq!(totp("000000".into(), waiting.clone()).await.code(), "code-incorrect");
    // the code that switched it on was used
    assert_eq!(totp(code(&secret, 0), waiting.clone()).await.code(), "code-incorrect");
    let entered = totp(code(&secret, 1), waiting.clone()).await;
    assert_eq!((entered.code().as_str(), entered.cookies().len()), ("none", 2));
    let browser = Browser::of(&entered);
    assert!(!waiting[0].1.contains(&browser.session), "the token is another");
    assert_eq!(node.call("auth.whoami", json!({}), &browser.headers()).await.code(), "none");
    assert_eq!(totp(code(&secret, 1), waiting).await.code(), "login-expired");
    // the same code again, in another login
    let waiting = half(&login().await);
    assert_eq!(totp(code(&secret, 1), waiting.clone()).await.code(), "code-incorrect");
    // a backup code, once
    let with_backup = |headers: Vec<(&'static str, String)>| {
        let (node, params) = (&node, json!({"code": backup[0].to_lowercase()}));
        async move { node.call("auth.login.backup", params, &headers).await }
    };
    assert_eq!(with_backup(waiting).await.code(), "none");
    let waiting = half(&login().await);
    assert_eq!(with_backup(waiting).await.code(), "code-incorrect");
    let status = node.call("auth.totp.status", json!({}), &owner.headers()).await.json();
    assert_eq!(status["result"], json!({"enabled": true, "backup_codes_left": 9}));
    // a device needs no code
    let params = json!({"name": "phone", "password": PASSWORD});
    let made = node.call("auth.createDeviceToken", params, &owner.headers()).await.json();
    let device = json!({"device_token": made["result"]["token"]});
    assert_eq!(node.call("auth.login", device, &[]).await.cookies().len(), 2);
    // off again
    let off = node.call("auth.totp.disable", json!({"password": PASSWORD}), &owner.headers()).await;
    assert_eq!(off.code(), "none");
    assert_eq!(login().await.json()["result"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_not_guessed() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let (secret, _) = second_factor(&node, &owner).await;
    let waiting = half(&node.call("auth.login", json!({"password": PASSWORD}), &[]).await);
    let mut answers = Vec::new();
    for _ in 0..6 {
        let guess = json!({"code": "000000"});
        answers.push(node.call("auth.login.totp", guess, &waiting).await.code());
    }
    assert_eq!(answers[..5], ["code-incorrect"; 5]);
    assert_eq!(answers[5], "rate-limited");
    // another door does not help: guesses are counted together
    let right = json!({"code": code(&secret, 1)});
    let other = node.call("auth.login.backup", right, &waiting).await;
    assert_eq!(other.code(), "rate-limited");
    // who lost everything is helped over the unix socket
    assert_eq!(node.local("auth.totp.disable", json!({})).await.code(), "none");
    let login = node.local("auth.login", json!({"password": PASSWORD})).await;
    assert_eq!(login.json()["result"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_steps_go_on_where_they_were() {
    let node = Node::start().await;
    let named = json!({"password": PASSWORD, "name": " Our house "});
    let answer = node.call("auth.setup", named, &[]).await;
    let owner = Browser::of(&answer);
    let state = node.call("server.get-state", json!({}), &owner.headers()).await.json();
    assert_eq!(state["result"]["data"]["server_info"]["name"], "Our house");
    let call = |method: &'static str, params: Value| {
        let (node, headers) = (&node, owner.headers());
        async move { node.call(method, params, &headers).await.json() }
    };
    let status =
        |seed: &str, complete: bool| json!({"password": true, "seed": seed, "complete": complete});
    assert_eq!(call("auth.onboarding", json!({})).await["result"], status("missing", false));
    let shown = call("seed.generate", json!({})).await["result"].clone();
    let words = shown["words"].as_array().unwrap().clone();
    assert_eq!(words.len(), 24);
    assert_eq!(call("auth.onboarding", json!({})).await["result"], status("unconfirmed", false));
    // the browser was closed: another one shows the same words, and asks for others of them
    let login = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    let other = Browser::of(&login);
    let again = node.call("seed.generate", json!({}), &other.headers()).await.json();
    assert_eq!(again["result"]["words"], shown["words"]);
    let ask = again["result"]["ask"].as_array().unwrap();
    let given: Vec<Value> =
        ask.iter().map(|at| words[at.as_u64().unwrap() as usize - 1].clone()).collect();
    let wrong = call("seed.confirm", json!({"words": ["abandon", "abandon", "zoo", "zoo"]})).await;
    assert_eq!(wrong["error"]["data"]["code"], "seed-words-wrong");
    let confirmed = call("seed.confirm", json!({"words": given})).await;
    assert_eq!(confirmed["result"], status("confirmed", false));
    assert_eq!(call("seed.generate", json!({})).await["error"]["data"]["code"], "seed-confirmed");
    assert_eq!(
        node.call("auth.isOnboardingComplete", json!({}), &[]).await.json()["result"],
        false
    );
    assert_eq!(
        call("auth.completeOnboarding", json!({})).await["result"],
        status("confirmed", true)
    );
    assert_eq!(node.call("auth.isOnboardingComplete", json!({}), &[]).await.json()["result"], true);
    // no word is in the audit log
    let log = std::fs::read_to_string(node.dir.path().join("data/audit.jsonl")).unwrap();
    let phrase: Vec<&str> = words[..3].iter().map(|word| word.as_str().unwrap()).collect();
    for glue in [" ", "\",\""] {
        assert!(!log.contains(&phrase.join(glue)), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_brought_along() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let zoo = "zoo ".repeat(24);
    // the vector of BIP-39 with 256 zeros
    let abandon = format!("{} art", "abandon ".repeat(23).trim_end());
    for (words, code) in [
        ("abandon abandon", "seed-word-count"),
        (zoo.as_str(), "seed-checksum"),
        (&zoo.replacen("zoo", "quux", 1), "seed-word-unknown"),
        (abandon.as_str(), "none"),
        (&abandon.to_uppercase(), "none"),
    ] {
        let answer = node.call("seed.restore", json!({"words": words}), &owner.headers()).await;
        assert_eq!(answer.code(), code, "{words}");
    }
    let status = node.call("auth.onboarding", json!({}), &owner.headers()).await.json();
    assert_eq!(status["result"]["seed"], "confirmed");
}

async fn plain(node: &Node, path: &str) -> Answer {
    let request = http::Request::get(path).header("host", "localhost");
    let stream = TcpStream::connect(node.daemon.http[0]).await.unwrap();
    exchange(stream, request.body(Default::default()).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authority_is_fetched_without_tls_and_before_setup() {
    let node = Node::start().await;
    let file = std::fs::read(node.dir.path().join("ssl/ca.crt")).unwrap();
    let given = plain(&node, "/ca.crt").await;
    assert_eq!((given.status, given.body.as_ref()), (StatusCode::OK, file.as_slice()));
    assert_eq!(given.headers["content-type"], "application/x-x509-ca-cert");
    assert_eq!(node.get("/ca.crt", &[]).await.body, given.body);
    let page = plain(&node, "/trust").await;
    let html = String::from_utf8_lossy(&page.body).replace("<wbr>", "");
    let owner = node.owner().await;
    let shown = node.call("system.node-ca", json!({}), &owner.headers()).await.json();
    let print = shown["result"]["fingerprint"].as_str().unwrap().to_owned();
    assert!(html.contains(&print), "{html}");
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("'none'"));
    // the certificate alone is issued anew, and in use at once
    let before = std::fs::read(node.dir.path().join("ssl/archipelago.crt")).unwrap();
    let again = node.call("system.node-ca.generate", json!({}), &owner.headers()).await.json();
    assert_eq!(again["result"]["fingerprint"], shown["result"]["fingerprint"]);
    assert_eq!(again["result"]["leaf"]["own"], true);
    assert_ne!(std::fs::read(node.dir.path().join("ssl/archipelago.crt")).unwrap(), before);
    assert_eq!(node.get("/health", &[]).await.status, StatusCode::OK);
    // anything else is led to TLS
    assert_eq!(plain(&node, "/rpc/v1").await.status, StatusCode::PERMANENT_REDIRECT);
}

mod passkeys {
    use webauthn_authenticator_rs::WebauthnAuthenticator;
    use webauthn_authenticator_rs::prelude::Url;
    use webauthn_authenticator_rs::softpasskey::SoftPasskey;

    use super::*;

    struct Page<'a> {
        node: &'a Node,
        origin: String,
    }

    impl Page<'_> {
        async fn call(&self, method: &str, params: Value, browser: Option<&Browser>) -> Answer {
            let mut headers = browser.map(Browser::headers).unwrap_or_default();
            headers.push(("origin", self.origin.clone()));
            self.node.call(method, params, &headers).await
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_passkey_opens_the_node() {
        let node = Node::start().await;
        let owner = node.owner().await;
        let (_, _) = second_factor(&node, &owner).await;
        let origin = format!("https://localhost:{}", node.address().port());
        let page = Page { node: &node, origin: origin.clone() };
        let url = Url::parse(&origin).unwrap();
        let mut key = SoftPasskey::new(true);
        let start = |password: &str| json!({"name": "Ann's phone", "password": password});
        let wrong = page.call("auth.passkey.registerStart", start("wrong one"), Some(&owner)).await;
        assert_eq!(wrong.code(), "password-incorrect");
        let asked = page.call("auth.passkey.registerStart", start(PASSWORD), Some(&owner)).await;
        let asked = asked.json()["result"].clone();
        let options = serde_json::from_value(asked["options"].clone()).unwrap();
        let made = key.do_registration(url.clone(), options).unwrap();
        let answer = json!({"attempt_id": asked["attempt_id"], "credential": made});
        let kept = page.call("auth.passkey.registerFinish", answer.clone(), Some(&owner)).await;
        assert_eq!(kept.json()["result"]["host"], "localhost", "{:?}", kept.body);
        let twice = page.call("auth.passkey.registerFinish", answer, Some(&owner)).await;
        assert_eq!(twice.code(), "passkey-refused");
        // in place of password and code
        let asked = page.call("auth.login.passkey.start", json!({}), None).await.json();
        let question = &asked["result"];
        let options = serde_json::from_value(question["options"].clone()).unwrap();
        let given = key.do_authentication(url.clone(), options).unwrap();
        let answer = json!({"attempt_id": question["attempt_id"], "credential": given});
        let entered = page.call("auth.login.passkey.finish", answer.clone(), None).await;
        assert_eq!(entered.code(), "none", "{:?}", entered.body);
        let browser = Browser::of(&entered);
        assert_eq!(node.call("auth.whoami", json!({}), &browser.headers()).await.code(), "none");
        let again = page.call("auth.login.passkey.finish", answer, None).await;
        assert_eq!(again.code(), "passkey-refused");
        // a user who has none is asked in the same way
        let nobody = page.call("auth.login.passkey.start", json!({"user": "nobody"}), None).await;
        let nobody = nobody.json()["result"]["options"].clone();
        let keys =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(keys(&nobody), keys(&question["options"]));
        assert_eq!(keys(&nobody["publicKey"]), keys(&question["options"]["publicKey"]));
        for field in ["timeout", "userVerification", "rpId"] {
            let real = &question["options"]["publicKey"][field];
            assert_eq!(&nobody["publicKey"][field], real, "{field}");
        }
        // taken away, it opens nothing
        let list = node.call("auth.passkey.list", json!({}), &owner.headers()).await.json();
        let id = json!({"id": list["result"][0]["id"]});
        let gone = node.call("auth.passkey.remove", id.clone(), &owner.headers()).await;
        assert_eq!(gone.code(), "none");
        let gone = node.call("auth.passkey.remove", id, &owner.headers()).await;
        assert_eq!(gone.code(), "passkey-not-found");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn addresses_and_foreign_pages_have_none() {
        let node = Node::start().await;
        let owner = node.owner().await;
        let port = node.address().port();
        for (host, origin, code) in [
            ("127.0.0.1", Some(format!("https://127.0.0.1:{port}")), "passkey-needs-name"),
            ("localhost", Some("https://evil.example".to_owned()), "forbidden-origin"),
            ("localhost", Some("https://localhost:3742".to_owned()), "forbidden-origin"),
            ("localhost", None, "forbidden-origin"),
        ] {
            let mut headers = owner.headers();
            headers.push(("host", host.to_owned()));
            headers.extend(origin.clone().map(|origin| ("origin", origin)));
            let params = json!({"name": "key", "password": PASSWORD});
            let answer = node.call("auth.passkey.registerStart", params, &headers).await;
            assert_eq!(answer.code(), code, "{origin:?}");
            let answer = node.call("auth.login.passkey.start", json!({}), &headers).await;
            assert_eq!(answer.code(), code, "{origin:?}");
        }
    }
}
