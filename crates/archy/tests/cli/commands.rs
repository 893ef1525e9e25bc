//! Commands against a fake daemon: output and exit codes.

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::run::golden;

#[test]
fn nobody_answers() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--socket", "no.sock", "list"];
    crate::run::archy(dir.path(), &args)
        .code(5)
        .err("error[daemon-unreachable]")
        .err("hint: `systemctl status archipelago`");
    let args = ["--socket", "no.sock", "--json", "list"];
    let run = crate::run::archy(dir.path(), &args).code(5);
    let error: Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(error["error"]["exit_code"], 5);
    crate::run::archy(dir.path(), &["--socket", "no.sock", "doctor"]).code(1).out("daemon");
}

#[test]
fn lists_and_status() {
    let fake = Fake::start();
    golden("list.txt", &fake.run(&["list"]).code(0).out);
    golden("status-app.txt", &fake.run(&["status", "blog"]).code(0).out);
    golden("status.txt", &fake.run(&["status"]).code(0).out);
    golden("history.txt", &fake.run(&["history"]).code(0).out);
    golden("doctor.txt", &fake.run(&["doctor"]).code(1).out);
    let json = fake.run(&["--json", "list"]).code(0).json();
    assert_eq!(json[0]["id"], "blog");
    assert_eq!(json[0]["address"], "http://192.0.2.1:8080");
    fake.run(&["status", "nothing"]).code(4).err("error[app-not-found]");
    fake.run(&["list", "--available"]).code(0).out("shop").err("warning: broken: ");
}

#[test]
fn installs_wait_with_progress() {
    for sockets in [true, false] {
        let fake = Fake::start();
        fake.subscriptions(sockets);
        let run = fake.run(&["install", "shop"]).code(0).out("shop is installed.");
        let run = run.out("It answers at http://192.0.2.1:8080");
        assert!(run.err.contains("shop [2/3] Step 2"), "{}", run.err);
        assert_eq!(fake.params("package.install"), json!({"id": "shop"}));
    }
}

#[test]
fn installs_from_a_path_send_text_and_directory() {
    let fake = Fake::start();
    fake.run(&["app", "new", "mine"]).code(0);
    let json = fake.run(&["--json", "install", "mine/", "--port", "8080=9090"]).code(0).json();
    assert_eq!(json["outcome"], "done");
    let params = fake.params("package.install");
    assert_eq!(params["id"], "mine");
    assert_eq!(params["ports"], json!([{"declared": 8080, "protocol": "tcp", "host": 9090}]));
    let dir = fake.dir().join("mine").canonicalize().unwrap();
    assert_eq!(params["path"], dir.to_str().unwrap());
    assert!(params["manifest"].as_str().unwrap().contains("id: mine"));
    std::fs::write(fake.dir().join("bad.yml"), "app: 3\n").unwrap();
    fake.run(&["install", "bad.yml"]).code(3).err("error[manifest-invalid]").err("mend:");
}

#[test]
fn failures_have_exit_codes() {
    let fake = Fake::start();
    fake.run(&["install", "broken"])
        .code(1)
        .err("error[image-pull-failed]: The image of broken cannot be pulled.")
        .err("hint: Check the name.");
    fake.run(&["install", "slow", "--timeout", "1"]).code(6).err("error[wait-timeout]");
    fake.run(&["install", "slow", "--no-wait"]).code(0).out("slow is being installed");
    fake.run(&["install", "unknown"]).code(4).err("error[manifest-not-found]");
    fake.run(&["install", "refused"]).code(3).err("error[port-taken]");
    fake.run(&["start", "locked"]).code(7).err("error[insufficient-permissions]");
    fake.run(&["start", "silent"]).code(1).err("error[protocol]");
}

#[test]
fn apps_are_started_and_stopped() {
    let fake = Fake::start();
    fake.run(&["stop", "blog"]).code(0).out("blog is stopped.");
    fake.run(&["stop", "blog"]).code(0).out("blog is already stopped.");
    fake.run(&["start", "blog", "nothing"]).code(4).out("blog is started.").err("app-not-found");
    let json = fake.run(&["--json", "restart", "blog"]).code(0).json();
    assert_eq!(json[0]["package_id"], "blog");
}

#[test]
fn a_purge_asks() {
    let fake = Fake::start();
    fake.run(&["uninstall", "blog", "--purge"])
        .code(2)
        .err("  - Removes volume blog-data with its data")
        .err("error[confirmation-needed]")
        .err("hint: Add --yes to confirm.");
    assert!(fake.called("package.uninstall").is_none());
    fake.run(&["uninstall", "blog", "--purge", "--yes"]).code(0).out("blog and its data are gone.");
    assert_eq!(fake.params("package.uninstall"), json!({"id": "blog", "purge": true}));
    fake.run(&["uninstall", "blog"]).code(4).err("error[app-not-found]");
}

#[test]
fn several_apps_are_uninstalled() {
    let fake = Fake::start();
    fake.run(&["install", "wiki"]).code(0);
    fake.run(&["uninstall", "blog", "nothing", "wiki"])
        .code(4)
        .out("blog is uninstalled; its data stays.")
        .out("wiki is uninstalled; its data stays.")
        .err("error[app-not-found]");
}

#[test]
fn updates_are_independent_and_may_need_consent() {
    let fake = Fake::start();
    fake.run(&["update", "blog"])
        .code(0)
        .out("blog is updated.")
        .err("note[update-downtime]: The app is away while it is stopped.");
    assert_eq!(fake.params("package.update"), json!({"id": "blog"}));
    let run = fake.run(&["update", "broken", "blog"]).code(1).out("blog is updated.");
    run.err("error[image-pull-failed]");
    fake.run(&["update", "greedy"])
        .code(2)
        .err("  - The service main asks for NET_ADMIN.")
        .err("hint: Add --yes to confirm.");
    fake.run(&["update", "greedy", "--yes"]).code(0).out("greedy is updated.");
    assert_eq!(fake.params("package.update")["consent"], "sha256:00");
    let run = fake.run(&["update", "--all"]);
    run.code(1).out("blog is updated.").out("mail is up to date.").err("image-pull-failed");
    fake.run(&["update"]).code(2);
}

#[test]
fn a_cancel_waits_for_the_way_back() {
    let fake = Fake::start();
    fake.run(&["cancel", "blog"]).code(3).err("error[nothing-to-cancel]");
    fake.run(&["cancel", "mail"]).code(0).out("mail is what it was");
    assert_eq!(fake.params("package.cancel"), json!({"id": "mail"}));
    fake.run(&["cancel", "mail", "--operation", "7", "--no-wait"]).code(0).out("goes back");
    assert_eq!(fake.params("package.cancel"), json!({"id": "mail", "operation": 7}));
}

#[test]
fn a_rollback_asks() {
    let fake = Fake::start();
    fake.run(&["rollback", "blog"]).code(2).err("error[confirmation-needed]");
    assert!(fake.called("package.rollback").is_none());
    fake.run(&["rollback", "blog", "--yes"]).code(0).out("blog is back at the version before");
    assert_eq!(fake.params("package.rollback"), json!({"id": "blog", "keep_data": false}));
    fake.run(&["rollback", "nothing", "--yes"]).code(4).err("app-not-found");
}

#[test]
fn plans() {
    let fake = Fake::start();
    golden("plan.txt", &fake.run(&["plan", "uninstall", "blog", "--purge"]).code(0).out);
    fake.run(&["plan", "install", "refused"]).code(3).out("error[port-taken]").err("plan-refused");
}

#[test]
fn logs_are_streamed() {
    let fake = Fake::start();
    let run = fake.run(&["logs", "blog", "-f", "-n", "3"]).code(0);
    assert_eq!(run.out, "main | one\nmain | two \u{fffd}[31m\n");
    let run = fake.run(&["--json", "logs", "blog", "-t"]).code(0);
    let first: Value = serde_json::from_str(run.out.lines().next().unwrap()).unwrap();
    assert_eq!(first, json!({"ts": 1000, "service": "main", "stream": "stdout", "line": "one"}));
    fake.run(&["logs", "blog", "-t"]).code(0).out("1970-01-01 00:00:01 main | one");
    fake.run(&["logs", "nothing"]).code(4).err("error[app-not-found]");
    fake.run(&["logs", "blog", "--since", "ten"]).code(2).err("error[age-invalid]");
}

#[test]
fn commands_in_containers() {
    let fake = Fake::start();
    let run = fake.run(&["exec", "blog", "--", "echo", "-n", "hi"]).code(0);
    assert_eq!(run.out, "echo -n hi\n");
    assert_eq!(fake.params("package.exec")["command"], json!(["echo", "-n", "hi"]));
    fake.run(&["exec", "blog", "--", "false"]).code(9);
    fake.run(&["exec", "blog"]).code(2);
}

#[test]
fn settings() {
    let fake = Fake::start();
    golden("config.txt", &fake.run(&["config", "get", "blog"]).code(0).out);
    assert_eq!(fake.run(&["config", "get", "blog", "title"]).code(0).out, "Ours\n");
    let run = fake.run(&["config", "set", "blog", "title=7", "count=7", "--unset", "token"]);
    run.code(0).out("blog has its new settings.");
    let settings = &fake.params("package.config.set")["settings"];
    assert_eq!(*settings, json!({"title": "7", "count": 7, "token": null}));
    fake.run(&["config", "set", "blog", "token=x"])
        .code(0)
        .err("warning: other users can see token");
    fake.run(&["config", "set", "blog", "count=many"]).code(2).err("error[setting-invalid]");
    fake.run(&["config", "set", "blog", "no=1"]).code(4).err("It has title, count, token.");
}

#[test]
fn a_stop_says_who_suffers() {
    let fake = Fake::start();
    fake.run(&["install", "wiki"]).code(0);
    let stopped = fake.run(&["stop", "wiki"]).code(0).out("wiki is stopped.");
    stopped.err("warning: blog needs wiki, and works again when it is back.");
    let stopped = fake.run(&["stop", "blog"]).code(0);
    assert!(!stopped.err.contains("warning"), "{}", stopped.err);
}
