//! Users, what each role may do, sessions and tokens that are taken back, and the audit log.

use http::StatusCode;
use serde_json::{Value, json};

use crate::node::{Answer, Browser, Node, PASSWORD};

const ANN: &str = "ann's password";

async fn make(node: &Node, owner: &Browser, name: &str, role: &str, apps: Value) -> Answer {
    let params = json!({"name": name, "password": ANN, "role": role, "apps": apps});
    node.call("users.create", params, &owner.headers()).await
}

async fn enter(node: &Node, params: Value) -> Answer {
    let answer = node.call("auth.login", params, &[]).await;
    assert_eq!(answer.code(), "none", "{:?}", answer.body);
    answer
}

fn cookie(answer: &Answer, name: &str) -> Option<String> {
    let start = format!("{name}=");
    let line = answer.cookies().into_iter().find(|line| line.starts_with(&start))?;
    Some(line[start.len()..line.find(';').unwrap()].to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_its_own() {
    let node = Node::start().await;
    let owner = node.owner().await;
    for role in ["Admin", "Viewer", "AppUser"] {
        let name = role.to_lowercase();
        assert_eq!(make(&node, &owner, &name, role, json!(["blog"])).await.code(), "none");
    }
    // method, params, then the least role of three; the order of roles is Admin, Viewer, AppUser
    for (method, params, may) in [
        ("auth.whoami", json!({}), [true, true, true]),
        ("auth.apps", json!({}), [true, true, true]),
        ("auth.sessions", json!({}), [true, true, true]),
        ("auth.totp.status", json!({}), [true, true, true]),
        ("auth.listDeviceTokens", json!({}), [true, true, true]),
        ("system.get-hostname", json!({}), [true, true, true]),
        ("server.get-state", json!({}), [true, true, false]),
        ("package.available", json!({}), [true, true, false]),
        ("auth.onboarding", json!({}), [true, true, false]),
        ("auth.audit", json!({}), [true, false, false]),
        ("users.list", json!({}), [true, false, false]),
        ("users.delete", json!({"name": "nobody"}), [true, false, false]),
        ("package.start", json!({"id": "blog"}), [true, false, false]),
        ("package.explain", json!({"id": "blog"}), [true, false, false]),
        ("seed.generate", json!({}), [true, false, false]),
        ("system.node-ca.generate", json!({}), [true, false, false]),
        ("auth.sessions", json!({"all": true}), [true, false, false]),
    ] {
        for (role, may) in ["admin", "viewer", "appuser"].into_iter().zip(may) {
            let browser = Browser::of(&enter(&node, json!({"user": role, "password": ANN})).await);
            let answer = node.call(method, params.clone(), &browser.headers()).await;
            let refused = answer.code() == "insufficient-permissions";
            assert_eq!(!refused, may, "{method} as {role}: {:?}", answer.body);
            if refused {
                assert_eq!(answer.status, StatusCode::FORBIDDEN);
                let message = answer.json()["error"]["message"].to_string();
                assert!(message.contains("insufficient permissions"), "{message}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_made_changed_and_deleted() {
    let node = Node::start().await;
    let owner = node.owner().await;
    for (name, role, code) in [
        ("ann", "AppUser", "none"),
        ("ann", "Viewer", "user-exists"),
        ("owner", "Viewer", "user-exists"),
        ("An n", "Viewer", "user-name-invalid"),
        ("bob", "Emperor", "invalid-params"),
    ] {
        assert_eq!(make(&node, &owner, name, role, json!(["blog"])).await.code(), code, "{name}");
    }
    let weak = json!({"name": "bob", "password": "short", "role": "Viewer"});
    let weak = node.call("users.create", weak, &owner.headers()).await;
    assert_eq!(weak.code(), "password-too-weak");
    let list = node.call("users.list", json!({}), &owner.headers()).await.json();
    let names: Vec<_> =
        list["result"].as_array().unwrap().iter().map(|u| u["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["owner", "ann"]);
    assert_eq!(list["result"][1]["apps"], json!(["blog"]));
    assert!(!list.to_string().contains("argon2"));
    // what somebody may open is at once so; a new role begins with a new login
    let ann = Browser::of(&enter(&node, json!({"username": "Ann", "password": ANN})).await);
    let who = |browser: Browser| {
        let node = &node;
        async move { node.call("auth.whoami", json!({}), &browser.headers()).await }
    };
    assert_eq!(who(ann.clone()).await.json()["result"]["apps"], json!(["blog"]));
    let change = |params: Value| node.call("users.update", params, &[]);
    assert_eq!(change(json!({"name": "ann", "apps": null})).await.code(), "unauthorized");
    let headers = owner.headers();
    let change = |params: Value| node.call("users.update", params, &headers);
    assert_eq!(change(json!({"name": "ann", "apps": null})).await.code(), "none");
    assert_eq!(who(ann.clone()).await.json()["result"]["apps"], Value::Null);
    assert_eq!(change(json!({"name": "ann", "role": "Viewer"})).await.code(), "none");
    assert_eq!(who(ann).await.code(), "unauthorized");
    let ann = Browser::of(&enter(&node, json!({"user": "ann", "password": ANN})).await);
    assert_eq!(who(ann.clone()).await.json()["result"]["role"], "Viewer");
    // their own password, and nobody else's
    let own = json!({"current_password": ANN, "new_password": "another password"});
    let changed = node.call("auth.changePassword", own, &ann.headers()).await;
    assert_eq!(changed.code(), "none");
    assert_eq!(who(owner.clone()).await.code(), "none");
    for (params, code) in [
        (json!({"name": "owner", "role": "Viewer"}), "owner-stays"),
        (json!({"name": "owner", "apps": []}), "owner-stays"),
        (json!({"name": "nobody", "role": "Viewer"}), "user-not-found"),
        (json!({"name": "ann", "apps": ["../x"]}), "id-invalid"),
    ] {
        assert_eq!(change(params.clone()).await.code(), code, "{params}");
    }
    for (name, code) in [("owner", "owner-stays"), ("ann", "none"), ("ann", "user-not-found")] {
        let gone = node.call("users.delete", json!({"name": name}), &owner.headers()).await;
        assert_eq!(gone.code(), code, "{name}");
    }
    assert_eq!(who(ann).await.code(), "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_administrator_does_not_become_the_owner() {
    let node = Node::start().await;
    let owner = node.owner().await;
    make(&node, &owner, "ann", "Admin", Value::Null).await;
    let ann = Browser::of(&enter(&node, json!({"user": "ann", "password": ANN})).await);
    for params in [
        json!({"name": "owner", "password": "taken over now"}),
        json!({"name": "owner", "reset_second_factor": true}),
    ] {
        let answer = node.call("users.update", params, &ann.headers()).await;
        assert_eq!(answer.code(), "insufficient-permissions");
    }
    enter(&node, json!({"password": PASSWORD})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_which_part_was_wrong() {
    let node = Node::start().await;
    let owner = node.owner().await;
    make(&node, &owner, "ann", "Viewer", Value::Null).await;
    let mut answers = Vec::new();
    for params in [
        json!({"password": "wrong password"}),
        json!({"user": "ann", "password": "wrong password"}),
        json!({"user": "nobody", "password": "wrong password"}),
        json!({"device_token": "archy_device_00"}),
        json!({}),
    ] {
        let answer = node.call("auth.login", params, &[]).await;
        assert!(answer.cookies().is_empty());
        answers.push((answer.status, answer.body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(String::from_utf8_lossy(&answers[0].1).contains("Password Incorrect"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_taken_back() {
    let node = Node::start().await;
    let first = node.owner().await;
    let agent = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0".to_owned());
    let login = node.call("auth.login", json!({"password": PASSWORD}), &[agent]).await;
    let second = Browser::of(&login);
    make(&node, &first, "ann", "Viewer", Value::Null).await;
    let ann = Browser::of(&enter(&node, json!({"user": "ann", "password": ANN})).await);
    let list = |browser: &Browser, all: bool| {
        let (node, headers) = (&node, browser.headers());
        async move { node.call("auth.sessions", json!({"all": all}), &headers).await.json() }
    };
    let own = list(&first, false).await["result"].clone();
    assert_eq!(own.as_array().unwrap().len(), 2);
    assert_eq!(list(&first, true).await["result"].as_array().unwrap().len(), 3);
    let text = own.to_string();
    assert!(!text.contains(&first.session) && !text.contains(&second.session));
    let other = own.as_array().unwrap().iter().find(|one| one["current"] == false).unwrap();
    assert_eq!(other["remote"], "127.0.0.1, Firefox on Linux");
    // a stranger's session is not there for somebody who is no administrator
    let id = json!({"id": other["id"]});
    let revoke = |browser: &Browser, params: Value| {
        let (node, headers) = (&node, browser.headers());
        async move { node.call("auth.revokeSession", params, &headers).await }
    };
    assert_eq!(revoke(&ann, id.clone()).await.code(), "session-not-found");
    assert_eq!(revoke(&first, id.clone()).await.json()["result"]["revoked"], 1);
    assert_eq!(revoke(&first, id).await.code(), "session-not-found");
    let gone = node.call("auth.whoami", json!({}), &second.headers()).await;
    assert_eq!(gone.code(), "unauthorized");
    let third = Browser::of(&enter(&node, json!({"password": PASSWORD})).await);
    let ended = revoke(&first, json!({"others": true})).await.json();
    assert_eq!(ended["result"]["revoked"], 1);
    for (browser, code) in [(&first, "none"), (&third, "unauthorized"), (&ann, "none")] {
        let answer = node.call("auth.whoami", json!({}), &browser.headers()).await;
        assert_eq!(answer.code(), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_browser_comes_back_until_it_is_forgotten() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let login = enter(&node, json!({"password": PASSWORD, "remember": true})).await;
    let remember = cookie(&login, "remember").unwrap();
    let line = login.cookies().into_iter().find(|c| c.starts_with("remember=")).unwrap();
    for part in ["HttpOnly", "Secure", "SameSite=Strict"] {
        assert!(line.contains(part), "{line}");
    }
    let alone = [("cookie", format!("remember={remember}"))];
    // what changes something waits for a session; what reads begins one
    let write = node.call("package.stop", json!({"id": "blog"}), &alone).await;
    assert_eq!((write.status, write.cookies().len()), (StatusCode::UNAUTHORIZED, 0));
    let back = node.call("server.get-state", json!({}), &alone).await;
    assert_eq!(back.code(), "none");
    let restored = Browser::of(&back);
    let write = node.call("package.stop", json!({"id": "none"}), &restored.headers()).await;
    assert_eq!(write.code(), "app-not-found");
    // a guess is worth nothing
    let guess = [("cookie", "remember=00".to_owned())];
    assert_eq!(node.call("auth.whoami", json!({}), &guess).await.code(), "unauthorized");
    // who is taken back does not come back
    let list = node.call("auth.sessions", json!({}), &restored.headers()).await.json();
    let id = list["result"].as_array().unwrap().iter().find(|s| s["current"] == true).unwrap();
    let params = json!({"id": id["id"]});
    node.call("auth.revokeSession", params, &owner.headers()).await;
    assert_eq!(node.call("auth.whoami", json!({}), &alone).await.code(), "unauthorized");
    // nor who logs out
    let login = enter(&node, json!({"password": PASSWORD, "remember": true})).await;
    let (browser, token) = (Browser::of(&login), cookie(&login, "remember").unwrap());
    let mut headers = browser.headers();
    headers[0].1 = format!("{}; remember={token}", headers[0].1);
    let out = node.call("auth.logout", json!({}), &headers).await;
    assert_eq!(out.cookies().len(), 3);
    let alone = [("cookie", format!("remember={token}"))];
    assert_eq!(node.call("auth.whoami", json!({}), &alone).await.code(), "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_logs_in_by_its_token() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let make = |params: Value| node.call("auth.createDeviceToken", params, &[]);
    assert_eq!(make(json!({"name": "phone", "password": PASSWORD})).await.code(), "unauthorized");
    let headers = owner.headers();
    let make = |params: Value| node.call("auth.createDeviceToken", params, &headers);
    for (params, code) in [
        (json!({"name": "phone"}), "password-incorrect"),
        (json!({"name": "phone", "password": "wrong one"}), "password-incorrect"),
        (json!({"name": " ", "password": PASSWORD}), "name-invalid"),
    ] {
        assert_eq!(make(params).await.code(), code);
    }
    let made = make(json!({"name": "phone", "password": PASSWORD})).await.json();
    let (id, token) = (made["result"]["id"].clone(), made["result"]["token"].clone());
    let device = Browser::of(&enter(&node, json!({"device_token": token})).await);
    let list = node.call("auth.listDeviceTokens", json!({}), &device.headers()).await.json();
    assert_eq!(list["result"][0]["name"], "phone");
    assert!(list["result"][0]["last_used"].is_i64());
    assert!(!list.to_string().contains(token.as_str().unwrap()));
    let revoke = node.call("auth.revokeDeviceToken", json!({"id": id}), &headers).await;
    assert_eq!(revoke.code(), "none");
    let gone = node.call("auth.whoami", json!({}), &device.headers()).await;
    assert_eq!(gone.code(), "unauthorized");
    let again = node.call("auth.login", json!({"device_token": token}), &[]).await;
    assert_eq!(again.code(), "password-incorrect");
    let twice = node.call("auth.revokeDeviceToken", json!({"id": id}), &headers).await;
    assert_eq!(twice.code(), "token-not-found");
    // nothing of the token is in a file
    for file in ["data/tokens.json", "data/audit.jsonl", "data/user.json"] {
        let text = std::fs::read_to_string(node.dir.path().join(file)).unwrap();
        assert!(!text.contains(token.as_str().unwrap()) && !text.contains(PASSWORD), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_written_down() {
    let node = Node::start().await;
    let owner = node.owner().await;
    make(&node, &owner, "ann", "AppUser", json!([])).await;
    let wrong = json!({"user": "ann", "password": "not hers, I think"});
    node.call("auth.login", wrong, &[]).await;
    let ann = Browser::of(&enter(&node, json!({"user": "ann", "password": ANN})).await);
    node.call("package.stop", json!({"id": "none"}), &owner.headers()).await;
    node.call("server.get-state", json!({}), &ann.headers()).await;
    node.local("package.install", json!({"id": "blog"})).await;
    let log = node.call("auth.audit", json!({"limit": 6}), &owner.headers()).await.json();
    let entries = log["result"]["entries"].as_array().unwrap();
    let short: Vec<String> = entries
        .iter()
        .rev()
        .map(|e| {
            let text = |key: &str| e[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {}", text("who"), text("what"), text("target"), text("outcome"))
        })
        .collect();
    let uid = rustix::process::geteuid().as_raw();
    let local = format!("unix socket, uid {uid} package.install blog ok");
    assert_eq!(
        short,
        [
            "owner auth.setup - ok",
            "owner users.create ann ok",
            "ann auth.login - password-incorrect",
            "ann auth.login - ok",
            "owner package.stop none app-not-found",
            local.as_str(),
        ]
    );
    assert!(!log.to_string().contains("not hers"));
    let older = json!({"limit": 1, "before": entries[0]["seq"]});
    let older = node.call("auth.audit", older, &owner.headers()).await.json();
    assert_eq!(older["result"]["entries"][0], entries[1]);
}
