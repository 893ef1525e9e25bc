//! Identities and the signer, as the daemon holds them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use archy_engine::AppView;
use archy_identity::nip07::ConsentDesk;
use archy_identity::relay::Env;
use archy_identity::relays::RelayList;
use archy_identity::{Dirs, Identities, Signer};
use archy_manifest::Manifest;
use archy_manifest::template::{Placeholder, Template};
use archy_types::UserError;

use crate::clock;

/// Note of a plan: a running app takes values of the node over at its next start.
const LATER: &str = "environment-later";

/// Identities, relays and consents; or why they cannot be used. Cheap to clone.
#[derive(Clone)]
pub struct IdentityDesk(Arc<Result<Parts, UserError>>);

/// What the desk holds.
#[derive(Debug)]
pub struct Parts {
    /// Signs for all identities.
    pub signer: Signer,
    /// The node's list of relays.
    pub relays: RelayList,
    /// What apps' pages may do.
    pub consents: ConsentDesk,
}

impl IdentityDesk {
    /// Reads what is in the data directory. A node whose identities cannot be read still runs its
    /// apps; calls then tell why. Blocks.
    #[must_use]
    pub fn open(data_dir: &Path) -> Self {
        let parts = Parts::open(data_dir);
        if let Err(error) = &parts {
            tracing::error!(%error, "the identities cannot be used");
        }
        Self(Arc::new(parts))
    }

    /// What it holds.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn parts(&self) -> Result<&Parts, UserError> {
        self.0.as_ref().as_ref().map_err(Clone::clone)
    }

    /// Values of the placeholders that identities fill in. Never makes keys; without an identity
    /// there is no value, and an app that needs one does not start.
    #[must_use]
    pub fn placeholder_values(&self) -> BTreeMap<Placeholder, String> {
        let mut values = BTreeMap::new();
        let Ok(parts) = self.parts() else { return values };
        let identities = parts.signer.identities();
        let keys = identities.signable_pubkeys();
        if !keys.is_empty() {
            values.insert(Placeholder::NodeIdentityPubkeys, keys.join(","));
        }
        values.extend(identities.node_pubkey().map(|key| (Placeholder::NodeNostrPubkey, key)));
        values
    }
}

impl Parts {
    fn open(data_dir: &Path) -> Result<Self, UserError> {
        let dirs = Dirs::below(data_dir);
        let node = dirs.node.clone();
        let identities = Arc::new(Identities::open(dirs)?);
        Ok(Self {
            signer: Signer::new(identities, Env::new(Arc::new(clock::now))),
            relays: RelayList::open(&node)?,
            consents: ConsentDesk::open(&node)?,
        })
    }
}

impl fmt::Debug for IdentityDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityDesk").field("usable", &self.0.is_ok()).finish_non_exhaustive()
    }
}

/// True when an app is handed the identities' keys.
#[must_use]
pub fn is_affected(manifest: &Manifest) -> bool {
    let of = |template: &Template| {
        template.placeholders().any(|placeholder| {
            matches!(placeholder, Placeholder::NodeIdentityPubkeys | Placeholder::NodeNostrPubkey)
        })
    };
    manifest.services.values().any(|service| service.derived_env.values().any(of))
        || manifest.files.iter().any(|file| of(&file.content))
}

/// True when a running app has other values of the node than those of now.
#[must_use]
pub fn needs_restart(view: &AppView) -> bool {
    view.notes.iter().any(|note| note.code.as_str() == LATER)
}
