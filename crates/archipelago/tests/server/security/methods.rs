//! Every method of the table, by what the table says: session, role, CSRF token, origin.

use archy_api::{METHODS, OriginRule, Role};
use http::StatusCode;
use serde_json::{Value, json};

use crate::node::{Browser, Node};

/// Methods that answer without a session. Another one is a decision: write it down here.
const PUBLIC: &[&str] = &[
    "health",
    "auth.isSetup",
    "auth.isOnboardingComplete",
    "auth.setup",
    "auth.login",
    "auth.login.totp",
    "auth.login.backup",
    "auth.login.passkey.start",
    "auth.login.passkey.finish",
    "auth.login.signer.available",
    "auth.login.signer.start",
    "auth.login.signer.finish",
];

const ANN: &str = "ann's password";

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_steps_no_method_but_the_public_ones_answers() {
    let node = Node::start().await;
    let public: Vec<&str> =
        METHODS.iter().filter(|method| method.access.public).map(|method| method.name).collect();
    assert_eq!(public, PUBLIC);
    for method in METHODS.iter().filter(|method| !method.access.public) {
        let own = format!("https://localhost:{}", node.address().port());
        let answer = node.call(method.name, json!({}), &[("origin", own)]).await;
        let found = (answer.status, answer.code());
        assert_eq!(found, (StatusCode::UNAUTHORIZED, "not-set-up".into()), "{}", method.name);
    }
    for path in ["/rpc/v1/logs?app=blog", "/ws/state"] {
        let answer = node.get(path, &[]).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
    }
    // the ways in say that there is no way yet
    for method in ["auth.login", "auth.login.totp", "auth.login.backup"] {
        let answer = node.call(method, json!({"password": "x", "code": "1"}), &[]).await;
        assert_ne!(answer.code(), "none", "{method}");
        assert!(answer.cookies().is_empty(), "{method}");
    }
}

/// A browser of each role.
async fn browsers(node: &Node) -> [(Role, Browser); 3] {
    let owner = node.owner().await;
    let mut all = [Role::AppUser, Role::Viewer, Role::Admin].map(|role| (role, owner.clone()));
    for (role, browser) in &mut all {
        let name = format!("{role:?}").to_lowercase();
        let params = json!({"name": name, "password": ANN, "role": role, "apps": []});
        assert_eq!(node.call("users.create", params, &owner.headers()).await.code(), "none");
        let login = json!({"user": name, "password": ANN});
        *browser = Browser::of(&node.call("auth.login", login, &[]).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_asks_for_what_the_table_says() {
    let node = Node::start().await;
    let browsers = browsers(&node).await;
    let own = format!("https://localhost:{}", node.address().port());
    for method in METHODS.iter().filter(|method| !method.access.public) {
        let (name, access) = (method.name, method.access);
        let ask = async |headers: &[(&'static str, String)]| {
            let mut headers = headers.to_vec();
            if access.origin == OriginRule::Prompt {
                headers.push(("origin", own.clone()));
            }
            let answer = node.call(name, Value::Null, &headers).await;
            (answer.status.as_u16(), answer.code())
        };
        assert_eq!(ask(&[]).await, (401, "unauthorized".into()), "{name} without a session");
        for (role, browser) in &browsers {
            let cookie = browser.headers()[0].clone();
            if *role < access.role {
                for headers in [browser.headers(), vec![cookie]] {
                    let found = ask(&headers).await;
                    let wanted = (403, "insufficient-permissions".into());
                    assert_eq!(found, wanted, "{name} as {role:?}");
                }
            } else if access.csrf {
                for token in [None, Some("0".repeat(64)), Some(String::new())] {
                    let mut headers = vec![cookie.clone()];
                    headers.extend(token.map(|token| ("x-csrf-token", token)));
                    let found = ask(&headers).await;
                    assert_eq!(found, (403, "csrf-missing".into()), "{name} as {role:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_an_app_changes_anything() {
    let node = Node::start().await;
    let [.., (_, admin)] = browsers(&node).await;
    for method in METHODS {
        let (name, access) = (method.name, method.access);
        // what changes something, or lets somebody in, looks at the page that asks
        let sensitive = access.csrf || (access.public && access.rate.is_some());
        assert!(!sensitive || access.origin != OriginRule::Any, "{name} takes any origin");
        // guesses are bounded wherever something is guessed
        assert!(!access.public || access.rate.is_some() || !name.contains("login"), "{name}");
        if access.origin == OriginRule::Any {
            continue;
        }
        for origin in ["https://localhost:3742", "https://evil.example", "null", "file://", ""] {
            let mut headers = admin.headers();
            headers.push(("origin", origin.to_owned()));
            let answer = node.call(name, Value::Null, &headers).await;
            let found = (answer.status.as_u16(), answer.code());
            assert_eq!(found, (403, "forbidden-origin".into()), "{name} from {origin:?}");
        }
        if access.origin == OriginRule::Prompt {
            let answer = node.call(name, Value::Null, &admin.headers()).await;
            assert_eq!(answer.code(), "forbidden-origin", "{name} without an origin");
        }
    }
}
