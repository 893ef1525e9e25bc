//! The list of notices, the settings, and messages that are sent again.

use std::collections::BTreeSet;

use archy_api::Hidden;
use archy_api::notify::{
    AttentionKind, EmailSettings, MarkParams, NotifyChannel, NotifySetParams, PushAddParams,
    WebhookSettings,
};
use archy_api::state::{Notice, Severity};
use archy_types::Code;
use archy_types::doctor::Check;

use super::book::{Book, Cause, Group};
use super::*;

fn cause(key: &str, kind: AttentionKind) -> Cause {
    Cause {
        key: key.to_owned(),
        group: Group::Apps,
        kind,
        severity: Severity::Warning,
        app: None,
        title: key.to_owned(),
        text: "It is so.".to_owned(),
        mend: None,
    }
}

const MINUTE: i64 = 60_000;

/// Looks at a minute by both clocks; gives the titles of what is told.
fn look(book: &mut Book, minute: i64, causes: &[Cause]) -> Vec<String> {
    let steady = u64::try_from(minute * MINUTE).unwrap();
    let news = book.look(causes.to_vec(), &[Group::Apps].into(), minute * MINUTE, steady);
    news.begun.into_iter().map(|told| told.title).collect()
}

#[test]
fn each_cause_is_told_once_until_it_is_over() {
    let (mut book, full) = (Book::default(), cause("full", AttentionKind::Disk));
    assert_eq!(look(&mut book, 0, std::slice::from_ref(&full)), ["full"]);
    assert!(look(&mut book, 1, std::slice::from_ref(&full)).is_empty());
    assert!(look(&mut book, 2, &[]).is_empty());
    assert_eq!(book.list().entries[0].ended, Some(2 * MINUTE));
    // it comes back soon: the same entry goes on
    assert!(look(&mut book, 10, std::slice::from_ref(&full)).is_empty());
    assert_eq!((book.list().entries.len(), book.list().entries[0].ended), (1, None));
    // much later it is another one
    look(&mut book, 11, &[]);
    assert_eq!(look(&mut book, 60, &[full]), ["full"]);
    assert_eq!(book.list().entries.iter().map(|e| e.id).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn what_mends_itself_soon_is_not_told() {
    let (mut book, sick) = (Book::default(), cause("sick", AttentionKind::AppUnhealthy));
    assert!(look(&mut book, 0, std::slice::from_ref(&sick)).is_empty());
    assert!(look(&mut book, 1, &[]).is_empty());
    assert!(look(&mut book, 2, std::slice::from_ref(&sick)).is_empty(), "it counts anew");
    assert!(look(&mut book, 3, std::slice::from_ref(&sick)).is_empty());
    assert_eq!(look(&mut book, 4, &[sick]), ["sick"]);
}

#[test]
fn nothing_is_concluded_from_what_was_not_looked_at() {
    let mut book = Book::default();
    look(&mut book, 0, &[cause("full", AttentionKind::Disk)]);
    let news = book.look(vec![], &[Group::Doctor].into(), MINUTE, 60_000);
    assert!(!news.changed);
    assert_eq!(book.list().entries[0].ended, None);
}

#[test]
fn the_list_is_bounded_and_read_entries_go() {
    let mut book = Book::default();
    let many: Vec<Cause> =
        (0..500).map(|n| cause(&format!("c{n}"), AttentionKind::Doctor)).collect();
    look(&mut book, 0, &many);
    assert_eq!(book.list().entries.len(), 300);
    assert!(book.mark(Some(&[500, 499]), true));
    assert_eq!(book.unread(), 298);
    assert!(!book.mark(Some(&[500]), true));
    book.mark(None, true);
    look(&mut book, 1, &[]);
    look(&mut book, 31 * 24 * 60, &[]);
    assert!(book.list().entries.is_empty());
}

#[test]
fn causes_of_notices_and_checks() {
    let notice = |severity, code: &'static str| Notice {
        severity,
        code: Code::new(code),
        text: "Text.".to_owned(),
        since: 0,
        mend: None,
    };
    let notices = [
        notice(Severity::Error, "disk-full"),
        notice(Severity::Warning, "clock-jumped"),
        notice(Severity::Note, "store-rebuilt"),
    ];
    let kinds =
        |causes: Vec<Cause>| causes.into_iter().map(|c| (c.key, c.kind)).collect::<Vec<_>>();
    let of = |key: &str, kind| (key.to_owned(), kind);
    assert_eq!(
        kinds(causes::of_notices(&notices)),
        [
            of("notice/disk-full", AttentionKind::Disk),
            of("notice/clock-jumped", AttentionKind::Node)
        ]
    );
    let checks = [
        Check::ok("host", "daemon", "fine"),
        Check::warn("certificates", "node", "it ends on Monday", "renew it"),
        Check::fail("podman", "socket", "silent", "start it"),
        Check::fail("podman", "socket", "silent again", "start it"),
        Check::fail("space", "data", "full", "free some"),
        Check::warn("units", "drift", "blog", "wait"),
        Check::warn("apps", "state", "blog failed", "restart"),
        Check::unknown("clock", "sync", "who knows"),
    ];
    assert_eq!(
        kinds(causes::of_checks(&checks)),
        [
            of("doctor/certificates/node", AttentionKind::Certificate),
            of("doctor/podman/socket", AttentionKind::Doctor)
        ]
    );
}

fn mail(host: &str) -> EmailSettings {
    EmailSettings {
        on: true,
        host: host.to_owned(),
        port: 465,
        user: "node".to_owned(),
        from: "node@example.org".to_owned(),
        to: vec!["ann@example.org".to_owned()],
        ..EmailSettings::default()
    }
}

#[tokio::test]
async fn settings_are_kept_and_secrets_are_not_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::open(dir.path());
    let key = desk.settings().unwrap().push_key;
    let webhook =
        WebhookSettings { on: true, url: "http://10.0.0.7/hook".into(), has_secret: false };
    desk.set(NotifySetParams {
        webhook: Some(webhook),
        webhook_secret: Some(Hidden::new("hook-secret")),
        email: Some(mail("mail.example.org")),
        email_password: Some(Hidden::new("mail-secret")),
        rules: Some([(AttentionKind::Disk, BTreeSet::from([NotifyChannel::Email]))].into()),
    })
    .await
    .unwrap();
    let file = dir.path().join("notify.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = Desk::open(dir.path());
    let shown = again.settings().unwrap();
    assert_eq!(shown.push_key, key, "browsers know the node by it");
    assert!(shown.webhook.has_secret && shown.email.has_password);
    let text = format!("{}{again:?}", serde_json::to_string(&shown).unwrap());
    assert!(!text.contains("hook-secret") && !text.contains("mail-secret"), "{text}");
    assert!(again.kept().wants(AttentionKind::Disk, NotifyChannel::Email));
    assert!(!again.kept().wants(AttentionKind::Disk, NotifyChannel::Push));
    assert!(again.secrets().iter().any(|secret| secret.expose_trimmed() == Some("mail-secret")));
    // another server gets no password that was given for this one
    let change =
        NotifySetParams { email: Some(mail("elsewhere.example")), ..NotifySetParams::default() };
    again.set(change).await.unwrap();
    assert!(!again.settings().unwrap().email.has_password);
    let gone =
        NotifySetParams { webhook_secret: Some(Hidden::new("")), ..NotifySetParams::default() };
    again.set(gone).await.unwrap();
    assert!(!again.settings().unwrap().webhook.has_secret);
}

#[tokio::test]
async fn settings_that_do_not_fit_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::open(dir.path());
    let before = desk.settings().unwrap();
    for url in ["", "ftp://host/", "http://", "https://user:pass@host/", "/hook"] {
        let webhook = Some(WebhookSettings { on: true, url: url.into(), has_secret: false });
        let refused = desk.set(NotifySetParams { webhook, ..NotifySetParams::default() }).await;
        assert_eq!(refused.unwrap_err().code.as_str(), "notify-url-invalid", "{url}");
    }
    let none = EmailSettings { to: vec![], ..mail("a") };
    let bad = EmailSettings { from: "nobody".into(), ..mail("a") };
    for email in [none, bad, mail(""), mail("a b"), EmailSettings { port: 0, ..mail("a") }] {
        let set = NotifySetParams { email: Some(email), ..NotifySetParams::default() };
        let refused = desk.set(set).await;
        assert_eq!(refused.unwrap_err().code.as_str(), "notify-mail-invalid");
    }
    for endpoint in ["http://push.example/", "https://push.example/"] {
        let (p256dh, auth) = ("AAAA".into(), Hidden::new("AAAA"));
        let add = PushAddParams { endpoint: endpoint.into(), p256dh, auth, label: String::new() };
        let refused = desk.add(add, 0).await;
        assert_eq!(refused.unwrap_err().code.as_str(), "notify-push-invalid", "{endpoint}");
    }
    assert_eq!(desk.settings().unwrap(), before);
}

#[tokio::test]
async fn the_list_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::open(dir.path());
    let looked = [Group::Apps].into();
    let begun = desk.look(vec![cause("full", AttentionKind::Disk)], &looked, 5, 5);
    assert_eq!(begun.len(), 1);
    let again = Desk::open(dir.path());
    assert_eq!((again.list(), again.unread()), (desk.list(), 1));
    assert!(again.look(vec![cause("full", AttentionKind::Disk)], &looked, 6, 6).is_empty());
    again.mark(MarkParams { ids: None, read: true }).await.unwrap();
    assert_eq!(Desk::open(dir.path()).unread(), 0);
}

/// Nobody listens at first; the third attempt comes through, and a fourth is not made.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again_until_it_is_taken() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::open(dir.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let webhook = Some(WebhookSettings { on: true, url, has_secret: false });
    desk.set(NotifySetParams { webhook, ..NotifySetParams::default() }).await.unwrap();
    let served = tokio::spawn(async move {
        for status in ["503 Busy", "500 Broken", "200 OK"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
            let text =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        listener
    });
    let sender = Sender { host: "h".into(), contact: "mailto:a@b.c".into(), roots: vec![] };
    let entries = desk.look(vec![cause("full", AttentionKind::Disk)], &[Group::Apps].into(), 5, 5);
    let message = Message { id: "1".into(), node: "n".into(), at: 1, test: false, entries };
    let pauses = [Duration::ZERO; 3];
    persist(&desk, NotifyChannel::Webhook, &sender, &message, &pauses).await;
    let last = desk.settings().unwrap().last;
    assert_eq!((last.len(), last[0].error.clone()), (1, None));
    drop(served.await.unwrap());
    // nobody is there any more: it is given up after the pauses
    persist(&desk, NotifyChannel::Webhook, &sender, &message, &pauses).await;
    assert!(desk.settings().unwrap().last[0].error.is_some());
}
