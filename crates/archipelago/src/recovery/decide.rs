//! What becomes of one app whose store was lost or put back from an older copy: decided from what
//! lies beside the store and from its units, without a look at the host.

use archy_quadlet::DeployedApp;
use archy_store::{AppRecord, KeptCopy};
use archy_types::{AppId, Digest, UserError};

/// What is done about an app.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// The store knows it as it is.
    Keep,
    /// It was uninstalled after the store's copy was made.
    Forget,
    /// What lies beside the store is what it should be.
    Take(Box<AppRecord>, Vec<u8>),
    /// Only its units tell what it should be.
    FromUnits,
    /// It cannot be told.
    Refuse(UserError),
}

/// Decides about an app. `stored` is its record in a store that was put back.
pub(super) fn decide(
    app: &AppId,
    stored: Option<&AppRecord>,
    kept: Option<&KeptCopy>,
    deployed: Option<&DeployedApp>,
) -> Decision {
    let whole = kept.and_then(|kept| {
        let (record, text) = (kept.record.as_ref()?, kept.manifest.as_ref()?);
        (Digest::of(text) == record.manifest).then_some((record, text))
    });
    let beside = whole.map(|(record, _)| record.generation);
    let units = deployed.and_then(|deployed| deployed.generation);
    if let Some(stored) = stored {
        let newest = Some(stored.generation) >= beside.max(units);
        if kept.is_none() && deployed.is_none() {
            return Decision::Forget;
        }
        if newest {
            return Decision::Keep;
        }
    }
    match whole {
        Some((record, text)) if beside >= units => {
            Decision::Take(Box::new(record.clone()), text.clone())
        }
        _ if deployed.is_some() => Decision::FromUnits,
        _ => {
            let text = format!(
                "Of {app} only a copy of its manifest is left, neither units nor what it should be."
            );
            Decision::Refuse(UserError::new("rebuild-no-units", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use archy_store::Desired;
    use archy_types::{Actor, Generation, Timestamp};

    use super::*;

    const TEXT: &[u8] = b"app: notes\n";

    fn record(generation: u64) -> AppRecord {
        AppRecord {
            app: AppId::new("notes").unwrap(),
            generation: Generation(generation),
            manifest: Digest::of(TEXT),
            desired: Desired::Running,
            actor: Actor::System,
            since: Timestamp(0),
            settings: BTreeMap::new(),
            ports: BTreeMap::new(),
            pinned_version: None,
            package_dir: None,
            data_due: None,
            adopted: None,
        }
    }

    fn beside(generation: Option<u64>, text: Option<&[u8]>) -> Option<KeptCopy> {
        Some(KeptCopy { manifest: text.map(<[u8]>::to_vec), record: generation.map(record) })
    }

    fn units(generation: u64) -> Option<DeployedApp> {
        Some(DeployedApp { generation: Some(Generation(generation)), ..DeployedApp::default() })
    }

    #[test]
    fn decisions() {
        let take = |generation| Decision::Take(Box::new(record(generation)), TEXT.to_vec());
        for (name, stored, kept, deployed, decision) in [
            (
                "nothing in the store, all beside it",
                None,
                beside(Some(3), Some(TEXT)),
                units(3),
                take(3),
            ),
            ("accepted, not carried out", None, beside(Some(4), Some(TEXT)), units(3), take(4)),
            ("no units left", None, beside(Some(3), Some(TEXT)), None, take(3)),
            (
                "a copy older than the units",
                None,
                beside(Some(2), Some(TEXT)),
                units(3),
                Decision::FromUnits,
            ),
            ("no record", None, beside(None, Some(TEXT)), units(3), Decision::FromUnits),
            ("another text", None, beside(Some(3), Some(b"x")), units(3), Decision::FromUnits),
            ("units alone", None, None, units(3), Decision::FromUnits),
            (
                "put back, as new as everything",
                Some(3),
                beside(Some(3), Some(TEXT)),
                units(3),
                Decision::Keep,
            ),
            ("put back, older", Some(2), beside(Some(3), Some(TEXT)), units(3), take(3)),
            (
                "put back, older than the units",
                Some(2),
                beside(Some(2), Some(TEXT)),
                units(3),
                Decision::FromUnits,
            ),
            ("uninstalled meanwhile", Some(2), None, None, Decision::Forget),
            ("put back, no copies", Some(3), None, units(3), Decision::Keep),
        ] {
            let stored = stored.map(record);
            let id = AppId::new("notes").unwrap();
            let found = decide(&id, stored.as_ref(), kept.as_ref(), deployed.as_ref());
            assert_eq!(found, decision, "{name}");
        }
        let id = AppId::new("notes").unwrap();
        let found = decide(&id, None, beside(None, Some(TEXT)).as_ref(), None);
        assert!(
            matches!(found, Decision::Refuse(error) if error.code.as_str() == "rebuild-no-units")
        );
    }
}
