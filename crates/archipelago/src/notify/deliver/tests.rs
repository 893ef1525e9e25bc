//! Real peers on loopback: an HTTP server, a mail server with TLS, a push service that decrypts.

use std::sync::Arc;

use archy_api::notify::{AttentionKind, PushAddParams, WebhookSettings};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

/// What a peer got: the head or the commands, and the body.
type Got = (String, Vec<u8>);

/// A certificate for `localhost`, and who accepts TLS with it.
fn tls() -> (TlsAcceptor, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.der().clone())
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Answers one request with a status line and more headers.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, status: &str) -> Got {
    let mut stream = BufStream::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.unwrap();
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    (head, body)
}

/// A server that answers its requests one after the other.
async fn http(
    answers: &'static [&'static str],
    acceptor: Option<TlsAcceptor>,
) -> (u16, mpsc::UnboundedReceiver<Got>) {
    let (listener, port) = listen().await;
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for status in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let got = match &acceptor {
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => answer(stream, status).await,
                    Err(_) => continue,
                },
                None => answer(stream, status).await,
            };
            sender.send(got).unwrap();
        }
    });
    (port, receiver)
}

fn entry(id: u64, text: &str) -> Attention {
    Attention {
        id,
        kind: AttentionKind::AppFailed,
        severity: Severity::Error,
        app: Some("blog".to_owned()),
        title: "Blog".to_owned(),
        text: text.to_owned(),
        mend: Some("Restart.".to_owned()),
        since: 5,
        ended: None,
        read: false,
    }
}

fn message(text: &str) -> Message {
    let entries = vec![entry(1, text)];
    Message { id: "0badcafe".into(), node: "home".into(), at: 9_000, test: false, entries }
}

fn sender(roots: Vec<CertificateDer<'static>>) -> Sender {
    Sender { host: "home".into(), contact: "mailto:owner@home.local".into(), roots }
}

fn kept() -> Kept {
    Kept::first(Keys::generate().unwrap())
}

fn code(outcome: &Outcome) -> &str {
    outcome.failure.as_ref().map_or("none", |failure| failure.error.code.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_and_goes_nowhere_else() {
    let (port, mut got) =
        http(&["204 No Content", "302 Found\r\nlocation: http://127.0.0.1:1/x", "503 Busy"], None)
            .await;
    let mut kept = kept();
    kept.webhook = WebhookSettings {
        on: true,
        url: format!("http://127.0.0.1:{port}/hook?x=1"),
        has_secret: false,
    };
    kept.webhook_secret = Some(Hidden::new("a shared key"));
    let send = async |kept: &Kept| {
        send(NotifyChannel::Webhook, kept, &sender(vec![]), &message("It fell.")).await
    };
    assert_eq!(code(&send(&kept).await), "none");
    let (head, body) = got.recv().await.unwrap();
    assert!(head.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{head}");
    let line = |name: &str| {
        let find = |line: &str| line.to_lowercase().strip_prefix(name).map(str::to_owned);
        head.lines().find_map(find).unwrap_or_default()
    };
    assert_eq!(line("content-type: "), "application/json");
    assert_eq!(line("x-archipelago-delivery: "), "0badcafe");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"a shared key");
    let expected = hex::encode(ring::hmac::sign(&key, &body).as_ref());
    assert_eq!(line("x-archipelago-signature: "), format!("sha256={expected}"));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["node"], &body["test"]), (&"home".into(), &false.into()));
    assert_eq!(body["notices"][0]["text"], "It fell.");
    assert_eq!(body["notices"][0]["kind"], "app-failed");
    assert_eq!(body["text"], "home: Blog failed");
    // a redirect is a failure for good, a server that is busy is not
    let failure = send(&kept).await.failure.unwrap();
    assert_eq!((failure.error.code.as_str(), failure.again), ("fetch-status", false));
    assert!(send(&kept).await.failure.unwrap().again);
    let failure = send(&kept).await.failure.unwrap();
    assert_eq!((failure.error.code.as_str(), failure.again), ("fetch-unreachable", true));
}

/// A mail server: real TLS, a login, one mail.
struct MailPeer {
    acceptor: TlsAcceptor,
    starttls: bool,
    refuses: bool,
}

impl MailPeer {
    async fn serve(self, stream: TcpStream) -> Got {
        let mut commands = String::new();
        if self.starttls {
            let mut plain = BufStream::new(stream);
            say(&mut plain, "220 mail\r\n").await;
            loop {
                let command = line(&mut plain).await;
                commands.push_str(&command);
                if command.starts_with("EHLO") {
                    say(&mut plain, "250-mail\r\n250 STARTTLS\r\n").await;
                } else if command.starts_with("STARTTLS") {
                    say(&mut plain, "220 go\r\n").await;
                    break;
                } else {
                    return (commands, Vec::new());
                }
            }
            let accepted = self.acceptor.accept(plain.into_inner()).await;
            let Ok(stream) = accepted else { return (commands, Vec::new()) };
            self.session(BufStream::new(stream), commands).await
        } else {
            let Ok(stream) = self.acceptor.accept(stream).await else {
                return (commands, Vec::new());
            };
            let mut stream = BufStream::new(stream);
            say(&mut stream, "220 mail\r\n").await;
            self.session(stream, commands).await
        }
    }

    async fn session<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: BufStream<S>,
        mut commands: String,
    ) -> Got {
        let mut body = String::new();
        loop {
            let command = line(&mut stream).await;
            commands.push_str(&command);
            match command.split_whitespace().next().unwrap_or("QUIT") {
                "EHLO" => say(&mut stream, "250-mail\r\n250 AUTH PLAIN LOGIN\r\n").await,
                "AUTH" if self.refuses => say(&mut stream, "535 no such user\r\n").await,
                "AUTH" => say(&mut stream, "235 welcome\r\n").await,
                "DATA" => {
                    say(&mut stream, "354 go on\r\n").await;
                    while !body.ends_with("\r\n.\r\n") {
                        body.push_str(&line(&mut stream).await);
                    }
                    say(&mut stream, "250 taken\r\n").await;
                }
                "QUIT" => return (commands, body.into_bytes()),
                _ => say(&mut stream, "250 ok\r\n").await,
            }
        }
    }
}

async fn line<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>) -> String {
    let mut text = String::new();
    drop(stream.read_line(&mut text).await);
    text
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, text: &str) {
    drop(stream.write_all(text.as_bytes()).await);
    drop(stream.flush().await);
}

async fn mail(security: MailSecurity, refuses: bool, trusted: bool) -> (Outcome, Got) {
    let (acceptor, root) = tls();
    let (listener, port) = listen().await;
    let peer = MailPeer { acceptor, starttls: security == MailSecurity::Starttls, refuses };
    let served = tokio::spawn(async move { peer.serve(listener.accept().await.unwrap().0).await });
    let mut kept = kept();
    kept.email = EmailSettings {
        on: true,
        host: "localhost".into(),
        port,
        security,
        user: "node".into(),
        has_password: false,
        from: "Node <node@example.org>".into(),
        to: vec!["ann@example.org".into(), "bob@example.org".into()],
    };
    kept.email_password = Some(Hidden::new("mail password"));
    let roots = if trusted { vec![root] } else { vec![] };
    let outcome =
        send(NotifyChannel::Email, &kept, &sender(roots), &message("It fell – hard.")).await;
    (outcome, served.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_goes_out_with_tls_only() {
    for security in [MailSecurity::Tls, MailSecurity::Starttls] {
        let (outcome, (commands, body)) = mail(security, false, true).await;
        assert_eq!(code(&outcome), "none", "{:?}", outcome.failure);
        let login = STANDARD.encode("\0node\0mail password");
        for part in [
            &format!("AUTH PLAIN {login}"),
            "MAIL FROM:<node@example.org>",
            "RCPT TO:<ann@example.org>",
            "RCPT TO:<bob@example.org>",
        ] {
            assert!(commands.contains(part), "{part} in {commands}");
        }
        let body = String::from_utf8(body).unwrap();
        for part in [
            "Subject: home: Blog failed",
            "Auto-Submitted: auto-generated",
            "Message-ID: <0badcafe@home>",
            "Restart.",
        ] {
            assert!(body.contains(part), "{part} in {body}");
        }
        // nobody who is not known gets a password
        let (outcome, (commands, _)) = mail(security, false, false).await;
        assert_eq!(code(&outcome), "notify-mail-refused");
        assert!(!commands.contains("AUTH"), "{commands}");
    }
    let (outcome, _) = mail(MailSecurity::Tls, true, true).await;
    let failure = outcome.failure.unwrap();
    assert_eq!((failure.error.code.as_str(), failure.again), ("notify-mail-refused", false));
    assert!(failure.error.message.contains("no such user"), "{}", failure.error.message);
    assert!(!failure.error.message.contains("mail password"), "{}", failure.error.message);
}

/// The browser's end: RFC 8188 and RFC 8291, written from the standard.
fn decrypt(own: EphemeralPrivateKey, auth: &[u8; 16], body: &[u8]) -> Vec<u8> {
    let own_public = own.compute_public_key().unwrap();
    let (salt, rest) = body.split_at(16);
    let (size, rest) = rest.split_at(4);
    assert_eq!(u32::from_be_bytes(size.try_into().unwrap()), 4096);
    let (length, rest) = rest.split_first().unwrap();
    let (sender, sealed) = rest.split_at(usize::from(*length));
    let hmac = |key: &[u8], parts: &[&[u8]]| {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        ring::hmac::sign(&key, &parts.concat()).as_ref().to_vec()
    };
    let peer = UnparsedPublicKey::new(&ECDH_P256, sender);
    let shared = agree_ephemeral(own, &peer, <[u8]>::to_vec).unwrap();
    let secret =
        hmac(&hmac(auth, &[&shared]), &[b"WebPush: info\0", own_public.as_ref(), sender, &[1]]);
    let base = hmac(salt, &[&secret]);
    let key = hmac(&base, &[b"Content-Encoding: aes128gcm\0\x01"]);
    let nonce = hmac(&base, &[b"Content-Encoding: nonce\0\x01"]);
    let key = ring::aead::UnboundKey::new(&ring::aead::AES_128_GCM, &key[..16]).unwrap();
    let nonce = ring::aead::Nonce::assume_unique_for_key(nonce[..12].try_into().unwrap());
    let mut plain = sealed.to_vec();
    let key = ring::aead::LessSafeKey::new(key);
    let plain = key.open_in_place(nonce, ring::aead::Aad::empty(), &mut plain).unwrap();
    let (end, text) = plain.split_last().unwrap();
    assert_eq!(*end, 2, "the last record");
    text.to_vec()
}

fn browser(kept: &mut Kept, port: u16, name: &str) -> (EphemeralPrivateKey, [u8; 16]) {
    let key = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
    let (public, auth) = (key.compute_public_key().unwrap(), [9; 16]);
    let params = PushAddParams {
        endpoint: format!("https://localhost:{port}/push/{name}"),
        p256dh: URL_SAFE_NO_PAD.encode(public.as_ref()),
        auth: Hidden::new(URL_SAFE_NO_PAD.encode(auth)),
        label: name.to_owned(),
    };
    kept.add(params, name.to_owned(), 1).unwrap();
    (key, auth)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_can_read_its_message_and_one_that_is_gone_is_told() {
    let (acceptor, root) = tls();
    let (port, mut got) = http(&["201 Created", "410 Gone", "429 Slow down"], Some(acceptor)).await;
    let mut kept = kept();
    let (key, auth) = browser(&mut kept, port, "phone");
    let _ = browser(&mut kept, port, "old");
    let _ = browser(&mut kept, port, "busy");
    let long = "x".repeat(5000);
    let outcome = send(NotifyChannel::Push, &kept, &sender(vec![root]), &message(&long)).await;
    let (head, body) = got.recv().await.unwrap();
    let head = head.to_lowercase();
    for part in [
        "post /push/phone ",
        "content-encoding: aes128gcm",
        "ttl: 86400",
        "urgency: high",
        "authorization: vapid t=",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }
    assert!(body.len() <= 4096);
    let text: serde_json::Value = serde_json::from_slice(&decrypt(key, &auth, &body)).unwrap();
    assert_eq!(
        (&text["title"], &text["path"]),
        (&"home: Blog failed".into(), &"/apps/blog".into())
    );
    assert_eq!(outcome.gone, ["old"]);
    let failure = outcome.failure.unwrap();
    assert!(
        failure.again && failure.error.message.starts_with("busy: localhost answers 429"),
        "{failure:?}"
    );
    assert!(!failure.error.message.contains("/push/"), "{failure:?}");
}
