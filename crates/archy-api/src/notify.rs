//! `notify.*`: what needs the owner's attention, and where they are told of it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::Hidden;
use crate::state::Severity;

/// What an attention is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "kebab-case")]
pub enum AttentionKind {
    /// An app failed.
    AppFailed,
    /// An app runs and its health check fails.
    AppUnhealthy,
    /// The node offers a newer version of an app.
    UpdateAvailable,
    /// An update failed and was taken back.
    UpdateRolledBack,
    /// A disk is full or nearly so.
    Disk,
    /// A certificate ends soon.
    Certificate,
    /// The examination of the node found something.
    Doctor,
    /// Something else about the node: its store, its clock.
    Node,
}

impl AttentionKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::AppFailed,
        Self::AppUnhealthy,
        Self::UpdateAvailable,
        Self::UpdateRolledBack,
        Self::Disk,
        Self::Certificate,
        Self::Doctor,
        Self::Node,
    ];
}

/// A way to the owner beside the dashboard's list.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, TS,
)]
#[serde(rename_all = "lowercase")]
pub enum NotifyChannel {
    /// A POST of JSON.
    Webhook,
    /// A mail.
    Email,
    /// A message of the browser.
    Push,
}

/// Something that needs, or needed, attention.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Attention {
    /// Its number; it grows.
    pub id: u64,
    /// What it is about.
    pub kind: AttentionKind,
    /// Weight.
    pub severity: Severity,
    /// The app, when it is about one.
    pub app: Option<String>,
    /// What it is about in a few words: the app's title, the check's name.
    pub title: String,
    /// One sentence.
    pub text: String,
    /// What to do about it.
    pub mend: Option<String>,
    /// When it began (milliseconds since 1970).
    pub since: i64,
    /// When it was over; null while it lasts.
    pub ended: Option<i64>,
    /// Somebody has seen it.
    pub read: bool,
}

/// Result of `notify.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct AttentionList {
    /// Newest first.
    pub entries: Vec<Attention>,
    /// How many were not read yet.
    pub unread: u32,
}

/// Parameters of `notify.mark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct MarkParams {
    /// Only these; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<u64>>,
    /// Read, or to be read again.
    pub read: bool,
}

/// How a mail goes over the network.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
pub enum MailSecurity {
    /// TLS from the first byte (port 465).
    #[default]
    Tls,
    /// TLS after `STARTTLS`, which the server must offer (port 587).
    Starttls,
}

/// Where a webhook goes.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct WebhookSettings {
    /// It is used.
    pub on: bool,
    /// `http://` or `https://` address.
    pub url: String,
    /// A key signs what is sent. It is never given back.
    #[serde(default)]
    pub has_secret: bool,
}

/// Where mails go.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct EmailSettings {
    /// It is used.
    pub on: bool,
    /// Name of the mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How.
    pub security: MailSecurity,
    /// Who the node is there; empty where no login is needed.
    pub user: String,
    /// A password is stored. It is never given back.
    #[serde(default)]
    pub has_password: bool,
    /// Sender.
    pub from: String,
    /// Receivers.
    pub to: Vec<String>,
}

/// A browser that gets messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PushDevice {
    /// Its id.
    pub id: String,
    /// Name for people.
    pub label: String,
    /// Host of the browser maker's push service.
    pub service: String,
    /// When it was added (milliseconds since 1970).
    pub added: i64,
}

/// How a channel fared last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct Delivered {
    /// The channel.
    pub channel: NotifyChannel,
    /// When (milliseconds since 1970).
    pub at: i64,
    /// Why it failed; null when it went well.
    pub error: Option<String>,
}

/// Result of `notify.settings` and `notify.set`. Secrets are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NotifySettings {
    /// The webhook.
    pub webhook: WebhookSettings,
    /// Mails.
    pub email: EmailSettings,
    /// Browsers.
    pub push: Vec<PushDevice>,
    /// Public key that browsers subscribe with (VAPID, base64url).
    pub push_key: String,
    /// Which kinds go where. A kind that is missing is only in the list.
    pub rules: BTreeMap<AttentionKind, BTreeSet<NotifyChannel>>,
    /// How each channel fared last since the daemon began.
    pub last: Vec<Delivered>,
}

/// Parameters of `notify.set`: what is absent stays.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct NotifySetParams {
    /// The webhook; `has_secret` is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookSettings>,
    /// Another key for its signature; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Hidden>,
    /// Mails; `has_password` is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailSettings>,
    /// Another password for the mail server; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_password: Option<Hidden>,
    /// Which kinds go where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<BTreeMap<AttentionKind, BTreeSet<NotifyChannel>>>,
}

/// Parameters of `notify.test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct NotifyTestParams {
    /// The channel.
    pub channel: NotifyChannel,
}

/// Parameters of `notify.push.add`: what `PushSubscription.toJSON()` gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PushAddParams {
    /// Address of the push service for this browser.
    pub endpoint: String,
    /// The browser's public key (P-256, base64url).
    pub p256dh: String,
    /// Its secret (16 bytes, base64url).
    pub auth: Hidden,
    /// Name for people.
    pub label: String,
}

/// Parameters of `notify.push.remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PushRemoveParams {
    /// Id of the browser.
    pub id: String,
}
