//! What needs the owner's attention: found, listed, told.
//!
//! `causes` says what is wrong now, `book` makes one entry of each cause until it is over, `deliver`
//! tells of new entries over the channels that the owner set up. An entry is told once; what fails
//! is tried again a few times and then given up, for the list has it anyway.

mod book;
mod causes;
mod deliver;
mod desk;
mod push;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use archy_api::notify::{Attention, AttentionKind, NotifyChannel};
use archy_api::state::Severity;
use archy_types::UserError;
use archy_types::doctor::Check;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::{clock, doctor};
use book::Group;
use deliver::{Message, Sender};
pub use desk::Desk;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(15);
/// Between two looks at the catalog's versions, in milliseconds.
const UPDATES_EVERY: u64 = 10 * 60 * 1000;
/// Between two examinations of the node, in milliseconds.
const DOCTOR_EVERY: u64 = 60 * 60 * 1000;
/// The first examination waits so long: much settles after a start. In milliseconds.
const DOCTOR_FIRST: u64 = 3 * 60 * 1000;
/// Pauses before a message is sent again.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];
/// Most messages that are on their way; what comes beyond is in the list alone.
const ON_THE_WAY: usize = 32;
const CHANNELS: [NotifyChannel; 3] =
    [NotifyChannel::Webhook, NotifyChannel::Email, NotifyChannel::Push];

static SLOTS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(ON_THE_WAY)));

/// Starts looking; it ends when the daemon stops.
pub fn spawn(app: &Arc<App>, tasks: &TaskTracker) {
    app.hub.set_unread(app.notify.unread());
    let (app, deliveries) = (app.clone(), tasks.clone());
    tasks.spawn(async move {
        let mut watch = Watch::default();
        let mut timer = interval(PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                _ = timer.tick() => watch.look(&app, &deliveries).await,
            }
        }
    });
}

/// What is remembered between looks.
#[derive(Debug, Default)]
struct Watch {
    /// Newest versions by app, and when they were looked at.
    offers: Option<(u64, BTreeMap<String, String>)>,
    /// What the last examination found, and when it was made.
    checks: Option<(u64, Vec<Check>)>,
}

impl Watch {
    async fn look(&mut self, app: &Arc<App>, deliveries: &TaskTracker) {
        let steady = clock::steady_millis();
        self.refresh(app, steady).await;
        let snapshot = app.backends.engine.snapshot();
        let mut causes = causes::of_notices(&app.hub.notices());
        let mut looked = BTreeSet::from([Group::Node]);
        // of a host that was not seen nothing is concluded
        if snapshot.observed_at.0 > 0 && snapshot.stale_because.is_none() {
            looked.insert(Group::Apps);
            causes.extend(causes::of_apps(&snapshot));
            if let Some((_, offers)) = &self.offers {
                looked.insert(Group::Updates);
                causes.extend(causes::of_updates(&snapshot, offers));
            }
        }
        if let Some((_, checks)) = &self.checks {
            looked.insert(Group::Doctor);
            causes.extend(causes::of_checks(checks));
        }
        let desk = app.notify.clone();
        let now = clock::now().0;
        let look = tokio::task::spawn_blocking(move || desk.look(causes, &looked, now, steady));
        let begun = look.await.unwrap_or_default();
        app.hub.set_unread(app.notify.unread());
        if !begun.is_empty() {
            tell(app, &begun, deliveries);
        }
    }

    async fn refresh(&mut self, app: &Arc<App>, steady: u64) {
        let due = |last: Option<u64>, every: u64, first: u64| match last {
            Some(at) => steady.saturating_sub(at) >= every,
            None => steady >= first,
        };
        if due(self.offers.as_ref().map(|it| it.0), UPDATES_EVERY, 0) {
            let offers = app.catalog.offers().into_iter();
            let versions = offers.map(|offer| {
                let manifest = offer.manifest();
                (manifest.id.to_string(), manifest.version.clone())
            });
            self.offers = Some((steady, versions.collect()));
        }
        if due(self.checks.as_ref().map(|it| it.0), DOCTOR_EVERY, DOCTOR_FIRST) {
            match doctor::examine(app).await {
                Ok(checks) => self.checks = Some((steady, checks)),
                Err(error) => tracing::debug!(%error, "the node was not examined"),
            }
        }
    }
}

/// Tells of new entries over every channel that wants them; it goes on in the background.
fn tell(app: &Arc<App>, begun: &[Attention], deliveries: &TaskTracker) {
    let kept = app.notify.kept();
    for channel in CHANNELS.into_iter().filter(|channel| kept.is_on(*channel)) {
        let wanted = begun.iter().filter(|entry| kept.wants(entry.kind, channel));
        let entries: Vec<Attention> = wanted.cloned().collect();
        if entries.is_empty() {
            continue;
        }
        let Ok(slot) = SLOTS.clone().try_acquire_owned() else {
            tracing::warn!(?channel, "too many messages are on their way; this one is not sent");
            continue;
        };
        let message = message(app, entries, false);
        let (desk, sender, stop) = (app.notify.clone(), sender(app), app.stop.clone());
        deliveries.spawn(async move {
            let work = persist(&desk, channel, &sender, &message, &PAUSES);
            tokio::select! {
                () = stop.cancelled() => {}
                () = work => {}
            }
            drop(slot);
        });
    }
}

/// Sends a message until it is taken, refused for good, or tried often enough.
async fn persist(
    desk: &Desk,
    channel: NotifyChannel,
    sender: &Sender,
    message: &Message,
    pauses: &[Duration],
) {
    let mut pauses = pauses.iter();
    loop {
        // the owner may have changed the settings meanwhile
        let kept = desk.kept();
        if !kept.is_on(channel) {
            return;
        }
        let Err(failure) = once(desk, &kept, channel, sender, message).await else { return };
        let code = &failure.error.code;
        let Some(pause) = pauses.next().filter(|_| failure.again) else {
            tracing::warn!(?channel, %code, "a message was given up");
            return;
        };
        tracing::info!(?channel, %code, "a message is sent again later");
        tokio::time::sleep(*pause).await;
    }
}

/// Sends a message once and notes what came of it.
async fn once(
    desk: &Desk,
    kept: &settings::Kept,
    channel: NotifyChannel,
    sender: &Sender,
    message: &Message,
) -> Result<(), deliver::Failure> {
    let outcome = deliver::send(channel, kept, sender, message).await;
    if !outcome.gone.is_empty()
        && let Err(error) = desk.remove(outcome.gone).await
    {
        tracing::warn!(%error, "browsers that are gone stay in the list");
    }
    let error = outcome.failure.as_ref().map(|failure| failure.error.message.clone());
    desk.fared(channel, clock::now().0, error);
    outcome.failure.map_or(Ok(()), Err)
}

/// Sends a test over a channel and waits for it.
///
/// # Errors
/// `notify-off`: it is not set up; else what the other side says.
pub async fn test(app: &App, channel: NotifyChannel) -> Result<(), UserError> {
    let kept = app.notify.kept();
    if !kept.is_on(channel) {
        return Err(UserError::new("notify-off", "Not found: this way is not set up.")
            .hint("Fill in where to, switch it on, and save."));
    }
    let entry = Attention {
        id: 0,
        kind: AttentionKind::Node,
        severity: Severity::Note,
        app: None,
        title: "test".to_owned(),
        text: "This is a test. Nothing is wrong.".to_owned(),
        mend: None,
        since: clock::now().0,
        ended: None,
        read: false,
    };
    let message = message(app, vec![entry], true);
    let sent = once(&app.notify, &kept, channel, &sender(app), &message).await;
    sent.map_err(|failure| failure.error)
}

fn message(app: &App, entries: Vec<Attention>, test: bool) -> Message {
    let (id, node) = (desk::random_id(), app.hub.name());
    Message { id, node, at: clock::now().0, test, entries }
}

fn sender(app: &App) -> Sender {
    let host = app.hostname.clone();
    let contact = match &app.config.naming.public_host {
        Some(name) => format!("https://{name}"),
        None => format!("mailto:owner@{host}.local"),
    };
    // what runs on this node shows a certificate of the node's authority
    let own = app.certs().and_then(|certs| certs.authority_pem());
    let own = own.and_then(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok());
    Sender { host, contact, roots: own.into_iter().collect() }
}
