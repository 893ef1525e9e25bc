//! One message over one channel: a webhook, a mail, or a message to each browser.

use std::time::Duration;

use archy_api::Hidden;
use archy_api::notify::{Attention, EmailSettings, MailSecurity, NotifyChannel};
use archy_api::state::Severity;
use archy_fetch::{FetchError, Fetcher};
use archy_types::{Code, UserError};
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header};
use lettre::message::header::{ContentType, HeaderName, HeaderValue as MailValue};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use rustls_pki_types::CertificateDer;
use serde_json::json;
use sha2::Sha256;

use super::push::{self, Keys};
use super::settings::{Device, Kept};

/// Time for one request, and for all of a mail.
const DEADLINE: Duration = Duration::from_secs(20);
/// Longest text in a message to a browser, in bytes.
const MAX_PUSH_TEXT: usize = 1000;

/// What is told.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// The same when it is sent again.
    pub(super) id: String,
    /// Name of the node.
    pub(super) node: String,
    /// When (milliseconds since 1970).
    pub(super) at: i64,
    /// Nothing happened; somebody pressed a button.
    pub(super) test: bool,
    pub(super) entries: Vec<Attention>,
}

/// Why it was not delivered.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: UserError,
    /// Trying again later may help.
    pub(super) again: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) failure: Option<Failure>,
    /// Ids of browsers that want no more messages.
    pub(super) gone: Vec<String>,
}

/// The node as it shows itself to others.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    /// Name of the host.
    pub(super) host: String,
    /// How a push service reaches whoever runs this node (RFC 8292 §2.1).
    pub(super) contact: String,
    /// Authorities that are trusted beside the system's.
    pub(super) roots: Vec<CertificateDer<'static>>,
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { again: error.is_retryable(), error: error.into() }
    }
}

fn failure(code: &'static str, text: impl Into<String>, hint: &str, again: bool) -> Failure {
    Failure { error: UserError::new(code, text.into()).hint(hint), again }
}

impl Message {
    /// In one line.
    fn subject(&self) -> String {
        match self.entries.as_slice() {
            [one] => format!("{}: {}", self.node, line(one)),
            many => format!("{}: {} things need attention", self.node, many.len()),
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for entry in &self.entries {
            out.extend([line(entry).as_str(), "\n", &entry.text, "\n"]);
            out.extend(entry.mend.iter().flat_map(|mend| ["To do: ", mend.as_str(), "\n"]));
            out.push('\n');
        }
        out.extend(["Sent by the node ", &self.node, ".\n"]);
        out
    }

    fn urgent(&self) -> bool {
        self.entries.iter().any(|entry| entry.severity == Severity::Error)
    }
}

/// What an entry is about.
fn line(entry: &Attention) -> String {
    use archy_api::notify::AttentionKind as Kind;
    let title = &entry.title;
    match entry.kind {
        Kind::AppFailed => format!("{title} failed"),
        Kind::AppUnhealthy => format!("{title} is not healthy"),
        Kind::UpdateAvailable => format!("an update of {title}"),
        Kind::UpdateRolledBack => format!("an update of {title} was taken back"),
        Kind::Disk => "a disk is full or nearly so".to_owned(),
        Kind::Certificate => "a certificate ends soon".to_owned(),
        Kind::Doctor => format!("the check {title} found something"),
        Kind::Node => format!("the node needs attention ({title})"),
    }
}

/// Sends a message over a channel that is set up.
pub(super) async fn send(
    channel: NotifyChannel,
    kept: &Kept,
    sender: &Sender,
    message: &Message,
) -> Outcome {
    let result = match channel {
        NotifyChannel::Webhook => webhook(kept, sender, message).await,
        NotifyChannel::Email => {
            let password = kept.email_password.as_ref();
            mail(&kept.email, password, sender, message).await
        }
        NotifyChannel::Push => return to_browsers(kept, sender, message).await,
    };
    Outcome { failure: result.err(), gone: Vec::new() }
}

/// A client that trusts the system's authorities and the node's own.
async fn fetcher(sender: &Sender) -> Result<Fetcher, Failure> {
    let own = sender.roots.clone();
    let load = move || {
        let system = rustls_native_certs::load_native_certs().certs;
        archy_fetch::tls_config_of(system.into_iter().chain(own)).ok()
    };
    let tls = tokio::task::spawn_blocking(load).await.unwrap_or(None);
    Ok(Fetcher::new(tls, format!("archipelago/{}", crate::app::VERSION)))
}

/// A POST of JSON. With a key, its HMAC-SHA256 in hex stands in `X-Archipelago-Signature`.
async fn webhook(kept: &Kept, sender: &Sender, message: &Message) -> Result<(), Failure> {
    let body = json!({
        "id": message.id,
        "node": message.node,
        "at": message.at,
        "test": message.test,
        "text": message.subject(),
        "notices": message.entries,
    });
    let body = body.to_string();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(&message.id) {
        headers.insert("x-archipelago-delivery", id);
    }
    if let Some(secret) = &kept.webhook_secret {
        let signature = HeaderValue::from_str(&signature(secret, body.as_bytes()));
        headers.extend(
            signature
                .ok()
                .map(|value| (http::HeaderName::from_static("x-archipelago-signature"), value)),
        );
    }
    let client = fetcher(sender).await?;
    Ok(client.post(&kept.webhook.url, &headers, body.into(), DEADLINE).await?)
}

/// `sha256=` and the HMAC of a body in hex.
pub(super) fn signature(secret: &Hidden, body: &[u8]) -> String {
    // a key of any length will do
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let digest = mac.map(|mac| mac.chain_update(body).finalize().into_bytes());
    format!("sha256={}", digest.map(hex::encode).unwrap_or_default())
}

/// A mail with TLS, always.
async fn mail(
    settings: &EmailSettings,
    password: Option<&Hidden>,
    sender: &Sender,
    message: &Message,
) -> Result<(), Failure> {
    let bad = |error: &dyn std::fmt::Display| {
        failure(
            "notify-mail-invalid",
            format!("The mail cannot be written: {error}."),
            "Look at sender and receivers.",
            false,
        )
    };
    let mut builder = Mail::builder()
        .from(settings.from.parse().map_err(|error| bad(&error))?)
        .subject(message.subject())
        .message_id(Some(format!("<{}@{}>", message.id, sender.host)));
    for to in &settings.to {
        builder = builder.to(to.parse().map_err(|error| bad(&error))?);
    }
    let mut mail = builder
        .header(ContentType::TEXT_PLAIN)
        .body(message.text())
        .map_err(|error| bad(&error))?;
    // RFC 3834: no answers of machines, please
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    mail.headers_mut().insert_raw(MailValue::new(name, "auto-generated".to_owned()));
    let transport = transport(settings, password, sender)?;
    let refused = |error: lettre::transport::smtp::Error| {
        let text = archy_types::Cause::new("mail", chain(&error)).text;
        let again = !error.is_permanent();
        failure(
            "notify-mail-refused",
            format!("{} does not take the mail: {text}.", settings.host),
            "Check host, port, user and password; port 465 is for TLS, 587 for STARTTLS.",
            again,
        )
    };
    match tokio::time::timeout(DEADLINE, transport.send(mail)).await {
        Ok(sent) => sent.map(drop).map_err(refused),
        Err(_) => Err(failure(
            "notify-mail-deadline",
            format!("{} did not take the mail in time.", settings.host),
            "Check host and port.",
            true,
        )),
    }
}

fn transport(
    settings: &EmailSettings,
    password: Option<&Hidden>,
    sender: &Sender,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, Failure> {
    let broken = |error: lettre::transport::smtp::Error| {
        failure(
            "notify-mail-tls",
            format!("TLS cannot be used: {}.", chain(&error)),
            "Check the server's name.",
            false,
        )
    };
    let mut tls = TlsParameters::builder(settings.host.clone());
    for root in &sender.roots {
        tls = tls.add_root_certificate(Certificate::from_der(root.to_vec()).map_err(broken)?);
    }
    let tls = tls.build_rustls().map_err(broken)?;
    let tls = match settings.security {
        MailSecurity::Tls => Tls::Wrapper(tls),
        MailSecurity::Starttls => Tls::Required(tls),
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
        .port(settings.port)
        .hello_name(ClientId::Domain(sender.host.clone()))
        .timeout(Some(DEADLINE))
        .tls(tls);
    Ok(match password.filter(|_| !settings.user.is_empty()) {
        Some(password) => {
            let password = password.expose().to_owned();
            builder.credentials(Credentials::new(settings.user.clone(), password)).build()
        }
        None => builder.build(),
    })
}

/// An error with those beneath it, without what stands there twice.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = source.source();
    }
    crate::rpc::errors::cut(&text, 300)
}

/// To every browser; what one refuses, the others still get.
async fn to_browsers(kept: &Kept, sender: &Sender, message: &Message) -> Outcome {
    let mut outcome = Outcome::default();
    let Some(keys) = Keys::read(&kept.vapid) else {
        let hint = "Report it with a support bundle.";
        outcome.failure =
            Some(failure("notify-push-key", "The node's key cannot be read.", hint, false));
        return outcome;
    };
    let client = match fetcher(sender).await {
        Ok(client) => client,
        Err(failure) => return Outcome { failure: Some(failure), ..outcome },
    };
    for device in &kept.devices {
        match to_browser(&client, &keys, device, sender, message).await {
            Ok(()) => {}
            // RFC 8030 §7.3: the subscription is over
            Err(FetchError::Status { status: 404 | 410, .. }) => {
                outcome.gone.push(device.id.clone())
            }
            Err(error) => outcome.failure = Some(unnamed(error, device)),
        }
    }
    outcome
}

/// The failure without the address, which is as good as a key.
fn unnamed(error: FetchError, device: &Device) -> Failure {
    let again = error.is_retryable();
    let host = push::host(device.endpoint.expose()).unwrap_or_default();
    let text = match &error {
        FetchError::Status { status, .. } => format!("{host} answers {status}"),
        FetchError::Deadline { millis, .. } => format!("{host} did not answer within {millis} ms"),
        FetchError::Connect { .. } | FetchError::Tls { .. } => error.to_string(),
        _ => format!("{host} did not answer as it should"),
    };
    let text = format!("{}: {text}.", device.label);
    Failure {
        error: UserError {
            code: Code::new(error.code()),
            message: text,
            hint: Some(error.hint().to_owned()),
        },
        again,
    }
}

async fn to_browser(
    client: &Fetcher,
    keys: &Keys,
    device: &Device,
    sender: &Sender,
    message: &Message,
) -> Result<(), FetchError> {
    let endpoint = device.endpoint.expose();
    let invalid =
        |reason: &str| FetchError::Url { url: "its address".to_owned(), reason: reason.to_owned() };
    let browser = push::parse(&device.p256dh, device.auth.expose());
    let browser = browser.ok_or_else(|| invalid("its keys cannot be read"))?;
    let first = message.entries.first();
    let text = first.map(|entry| crate::rpc::errors::cut(&entry.text, MAX_PUSH_TEXT));
    let app = first.filter(|_| message.entries.len() == 1).and_then(|entry| entry.app.as_ref());
    let plain = json!({
        "title": crate::rpc::errors::cut(&message.subject(), MAX_PUSH_TEXT),
        "body": text,
        "path": app.map_or_else(|| "/system/notices".to_owned(), |app| format!("/apps/{app}")),
        "tag": message.id,
    });
    let plain = plain.to_string();
    let made = push::message(
        keys,
        &browser,
        endpoint,
        &sender.contact,
        message.urgent(),
        plain.as_bytes(),
        message.at,
    );
    let (headers, body): (HeaderMap, Bytes) =
        made.ok_or_else(|| invalid("it cannot be encrypted for"))?;
    client.post(endpoint, &headers, body, DEADLINE).await
}

#[cfg(test)]
mod tests;
