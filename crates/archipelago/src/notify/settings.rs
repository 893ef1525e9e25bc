//! Where the owner is told of what: one file with mode 0600, for it holds secrets.

use std::collections::{BTreeMap, BTreeSet};

use archy_api::Hidden;
use archy_api::notify::{
    AttentionKind, EmailSettings, NotifyChannel, NotifySetParams, NotifySettings, PushAddParams,
    PushDevice, WebhookSettings,
};
use archy_types::UserError;
use serde::{Deserialize, Serialize};

use super::push::{self, Keys};

/// Most browsers.
const MAX_DEVICES: usize = 20;
/// Most receivers of a mail.
const MAX_RECEIVERS: usize = 10;
/// Longest address and longest name, in bytes.
const MAX_URL: usize = 2048;
const MAX_NAME: usize = 253;

/// A browser that gets messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) label: String,
    /// Whoever knows it can send there, though nothing that the browser would show.
    pub(super) endpoint: Hidden,
    pub(super) p256dh: String,
    pub(super) auth: Hidden,
    pub(super) added: i64,
}

type Rules = BTreeMap<AttentionKind, BTreeSet<NotifyChannel>>;

/// All that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) webhook: WebhookSettings,
    pub(super) webhook_secret: Option<Hidden>,
    pub(super) email: EmailSettings,
    pub(super) email_password: Option<Hidden>,
    pub(super) devices: Vec<Device>,
    pub(super) rules: Rules,
    /// The key pair of the node's messages to browsers (PKCS#8, base64).
    pub(super) vapid: Hidden,
}

impl Kept {
    /// What counts until the owner says otherwise: everything everywhere that is set up, but no
    /// message to a phone for a mere update.
    pub(super) fn first(vapid: Hidden) -> Self {
        let everywhere = [NotifyChannel::Webhook, NotifyChannel::Email, NotifyChannel::Push].into();
        let rule = |kind: AttentionKind| {
            let mut channels: BTreeSet<NotifyChannel> = BTreeSet::clone(&everywhere);
            if kind == AttentionKind::UpdateAvailable {
                channels.remove(&NotifyChannel::Push);
            }
            (kind, channels)
        };
        let email = EmailSettings { port: 465, ..EmailSettings::default() };
        Self {
            webhook: WebhookSettings::default(),
            webhook_secret: None,
            email,
            email_password: None,
            devices: Vec::new(),
            rules: AttentionKind::ALL.map(rule).into(),
            vapid,
        }
    }

    /// True when a channel is set up.
    pub(super) fn is_on(&self, channel: NotifyChannel) -> bool {
        match channel {
            NotifyChannel::Webhook => self.webhook.on,
            NotifyChannel::Email => self.email.on,
            NotifyChannel::Push => !self.devices.is_empty(),
        }
    }

    /// True when this kind goes there.
    pub(super) fn wants(&self, kind: AttentionKind, channel: NotifyChannel) -> bool {
        self.rules.get(&kind).is_some_and(|channels| channels.contains(&channel))
    }

    /// Texts that must not appear anywhere.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &Hidden> {
        let devices = self.devices.iter().flat_map(|device| [&device.auth, &device.endpoint]);
        self.webhook_secret.iter().chain(&self.email_password).chain([&self.vapid]).chain(devices)
    }

    /// The settings without secrets.
    pub(super) fn shown(&self, keys: &Keys) -> NotifySettings {
        let device = |device: &Device| PushDevice {
            id: device.id.clone(),
            label: device.label.clone(),
            service: push::host(device.endpoint.expose()).unwrap_or_default(),
            added: device.added,
        };
        NotifySettings {
            webhook: WebhookSettings {
                has_secret: self.webhook_secret.is_some(),
                ..self.webhook.clone()
            },
            email: EmailSettings {
                has_password: self.email_password.is_some(),
                ..self.email.clone()
            },
            push: self.devices.iter().map(device).collect(),
            push_key: keys.public(),
            rules: self.rules.clone(),
            last: Vec::new(),
        }
    }

    /// Takes changes.
    ///
    /// # Errors
    /// `notify-url-invalid`, `notify-mail-invalid`.
    pub(super) fn change(&mut self, params: NotifySetParams) -> Result<(), UserError> {
        if let Some(webhook) = params.webhook {
            check_webhook(&webhook)?;
            self.webhook = WebhookSettings { has_secret: false, ..webhook };
        }
        if let Some(secret) = params.webhook_secret {
            self.webhook_secret = Some(secret).filter(|secret| !secret.expose().is_empty());
        }
        if let Some(email) = params.email {
            check_email(&email)?;
            let (old, new) = (&self.email, &email);
            // a password is for the server that it was given for
            if (&old.host, old.port, &old.user) != (&new.host, new.port, &new.user) {
                self.email_password = None;
            }
            self.email = EmailSettings { has_password: false, ..email };
        }
        if let Some(password) = params.email_password {
            self.email_password = Some(password).filter(|text| !text.expose().is_empty());
        }
        if let Some(rules) = params.rules {
            self.rules = rules;
        }
        Ok(())
    }

    /// Adds a browser; one that is known takes its new keys.
    ///
    /// # Errors
    /// `notify-push-invalid`: an address or a key that is none, or too many browsers.
    pub(super) fn add(
        &mut self,
        params: PushAddParams,
        id: String,
        now: i64,
    ) -> Result<(), UserError> {
        let refuse = |why: &str| {
            let text = format!("Invalid browser: {why}.");
            UserError::new("notify-push-invalid", text).hint("Subscribe again on the page.")
        };
        if params.endpoint.len() > MAX_URL || push::host(&params.endpoint).is_none() {
            return Err(refuse("its address is no https address"));
        }
        if push::parse(&params.p256dh, params.auth.expose()).is_none() {
            return Err(refuse("its keys are none of the P-256 curve"));
        }
        self.devices.retain(|device| device.endpoint.expose() != params.endpoint);
        if self.devices.len() >= MAX_DEVICES {
            return Err(refuse("there are too many already"));
        }
        let label: String =
            params.label.trim().chars().filter(|c| !c.is_control()).take(64).collect();
        self.devices.push(Device {
            id,
            label: if label.is_empty() { "Browser".to_owned() } else { label },
            endpoint: Hidden::new(params.endpoint),
            p256dh: params.p256dh,
            auth: params.auth,
            added: now,
        });
        Ok(())
    }
}

fn check_webhook(webhook: &WebhookSettings) -> Result<(), UserError> {
    if webhook.url.is_empty() && !webhook.on {
        return Ok(());
    }
    let uri: Option<http::Uri> = webhook.url.parse().ok();
    let fits = uri.is_some_and(|uri| {
        let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        scheme
            && uri.authority().is_some_and(|it| !it.as_str().contains('@') && !it.host().is_empty())
    });
    if fits && webhook.url.len() <= MAX_URL {
        return Ok(());
    }
    let text = "Invalid address: a webhook goes to a whole http:// or https:// address.";
    Err(UserError::new("notify-url-invalid", text).hint("Write no user name and password into it."))
}

fn check_email(email: &EmailSettings) -> Result<(), UserError> {
    let refuse = |why: String| {
        UserError::new("notify-mail-invalid", format!("Invalid mail settings: {why}."))
            .hint("Your mail provider tells host, port and user for outgoing mail.")
    };
    let host_ok = |host: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
        !host.is_empty() && host.len() <= MAX_NAME && host.chars().all(fits)
    };
    let address =
        |text: &String| text.parse::<lettre::message::Mailbox>().is_ok() && text.len() <= MAX_NAME;
    if !email.on && email.host.is_empty() {
        return Ok(());
    }
    if !host_ok(&email.host) || email.port == 0 {
        return Err(refuse("the server is no name or has no port".to_owned()));
    }
    if email.user.len() > MAX_NAME || email.user.chars().any(char::is_control) {
        return Err(refuse("the user is too long".to_owned()));
    }
    if email.to.is_empty() || email.to.len() > MAX_RECEIVERS {
        return Err(refuse(format!("1 to {MAX_RECEIVERS} receivers are needed")));
    }
    match email.to.iter().chain([&email.from]).find(|text| !address(text)) {
        Some(bad) => Err(refuse(format!("{:?} is no address", crate::rpc::errors::cut(bad, 64)))),
        None => Ok(()),
    }
}
