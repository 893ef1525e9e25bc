//! What is looked at before anything is touched.
//!
//! | Code | Weight | Meaning |
//! |---|---|---|
//! | `host-unknown` | note | a fact is missing; nothing is changed |
//! | `name-taken` | error | something foreign has a name that the app needs |
//! | `name-clash` | error | another app makes a unit or volume of the same name |
//! | `port-taken` | error | a host port is in use |
//! | `port-privileged` | error | a host port is below those that need no rights |
//! | `disk-low`, `memory-low` | error, warning | less room than the app asks for |
//! | `architecture`, `platform-too-old` | error | the node cannot run the app |
//! | `dependency-missing`, `dependency-version`, `dependency-stopped` | error to note | apps it needs |
//! | `dependency-cycle` | error, warning | apps that need each other in a circle |
//! | `dependency-waits` | warning | an app that it needs is not healthy or ready yet |
//! | `setting-missing`, `setting-invalid`, `setting-unknown` | error | the owner's settings |
//! | `secret-missing` | error | a secret that the owner supplies |
//! | `downgrade-refused` | error | an older version would take the place of a newer one |
//! | `disk-snapshot` | error | no room to save the data before an update |
//! | `update-arrives` | warning, note | images that an update lets arrive, and how large they may be |
//! | `update-downtime` | note | how an update goes: what is saved, how long the app is away |
//! | `data-since-lost`, `snapshot-missing` | warning, note | what a rollback does to the data |
//! | `rights-widened` | warning | a new manifest asks for more |
//! | `not-enforced` | note | a budget that this host cannot enforce |
//! | `stopped-outside`, `service-failed`, `unit-masked`, `in-transition` | note | left alone |
//! | `environment-later` | note | taken over with the next start |
//! | `not-checked` | note | a check that lacked its fact |
//!
//! An error on an install is often only a warning later: an app that is installed is kept running
//! as long as nothing forbids it.

mod downgrade;
mod foreign;
mod host;
mod ports;
mod requires;
mod rights;
mod settings;
mod units;
mod update;

pub use downgrade::check_downgrade;
pub(crate) use foreign::names_taken;
pub use rights::rights_diff;
pub use settings::check_settings;
pub(crate) use units::{in_transition, left_alone, not_enforced};
pub(crate) use update::check as update;

use archy_types::Code;

use crate::desired::DesiredApp;
use crate::intent::Intent;
use crate::scene::{Part, Scene};
use crate::step::{Check, Severity};

/// A check without a mend.
fn check(severity: Severity, code: &'static str, message: impl Into<String>) -> Check {
    Check { severity, code: Code::new(code), message: message.into(), mend: None }
}

impl Check {
    /// Adds what to do about it.
    #[must_use]
    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// Other apps of the node that are not on their way out.
pub(crate) fn installed<'a>(
    all: &'a [DesiredApp],
    but: &'a DesiredApp,
) -> impl Iterator<Item = &'a DesiredApp> {
    all.iter().filter(|app| app.manifest.id != but.manifest.id && !app.is_leaving())
}

/// An error while the owner waits for it, else a warning: a pass keeps an installed app running as
/// long as nothing forbids it.
fn grave(intent: Intent) -> Severity {
    if intent == Intent::Converge { Severity::Warning } else { Severity::Error }
}

/// What holds whether or not anything is started.
pub(crate) fn standing(scene: &Scene<'_>) -> Vec<Check> {
    let mut found = requires::check(scene);
    found.extend(not_enforced(scene));
    found
}

/// Room for what an update of a stopped app lets arrive.
pub(crate) fn before_pull(scene: &Scene<'_>) -> Vec<Check> {
    host::room(scene)
}

/// What matters when containers are to be started or an install was asked for.
pub(crate) fn before_start(scene: &Scene<'_>, starting: &[&Part<'_>]) -> Vec<Check> {
    if starting.is_empty() && !scene.intent.installs() {
        return Vec::new();
    }
    let mut found = check_settings(&scene.app.manifest, &scene.app.settings);
    found.extend(settings::secrets_supplied(scene));
    found.extend(foreign::clashes(scene));
    found.extend(ports::check(scene, starting));
    found.extend(host::check(scene, starting));
    found
}
