//! Rendered units, kept from pass to pass as long as what shapes them stays the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use archy_plan::{DesiredApp, DesiredState, Observed};
use archy_quadlet::Deployment;
use archy_types::UserError;

/// An app's units, and what they were made from.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) print: Fingerprint,
    pub(crate) deployment: Result<Deployment, UserError>,
}

/// A hash over everything that shapes an app's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// What shapes every app's units: the host, and which apps there are.
    pub(crate) fn shared(observed: &Observed, all: &[DesiredApp]) -> Self {
        let mut hasher = DefaultHasher::new();
        let host = &observed.host;
        (host.podman, &host.controllers, &host.data_dir, &host.health_probe).hash(&mut hasher);
        host.values.hash(&mut hasher);
        for app in all {
            (&app.manifest.id, app.generation).hash(&mut hasher);
        }
        Self(hasher.finish())
    }

    /// What shapes this app's units.
    pub(crate) fn of(shared: &Self, app: &DesiredApp, observed: &Observed) -> Self {
        let mut hasher = DefaultHasher::new();
        shared.0.hash(&mut hasher);
        (app.generation, app.state == DesiredState::Running).hash(&mut hasher);
        if let Some(hashes) = observed.secret_files.get() {
            for name in crate::ports::secret_names(&app.manifest) {
                hashes.get(&name).hash(&mut hasher);
            }
        }
        // a build's image is named by its context, or is the owner's own
        archy_plan::contexts(app, observed).hash(&mut hasher);
        archy_plan::local_images(app, observed).hash(&mut hasher);
        Self(hasher.finish())
    }
}
