//! Version 3: what an update replaced (previous), and what is due to an app's data (apps.data_due).

/// A row of `previous` is a row of `apps` as an update found it: `replaced_by` is the generation of
/// the update, `replaced` when it was accepted. `data_due` is JSON.
pub(super) const SQL: &str = "
ALTER TABLE apps ADD COLUMN data_due TEXT;

CREATE TABLE previous (
    id             TEXT PRIMARY KEY,
    generation     INTEGER NOT NULL,
    manifest       TEXT NOT NULL REFERENCES manifests (digest),
    desired        TEXT NOT NULL CHECK (desired IN ('running', 'stopped', 'removed', 'purged')),
    actor          TEXT NOT NULL,
    since          INTEGER NOT NULL,
    settings       TEXT NOT NULL,
    ports          TEXT NOT NULL,
    pinned_version TEXT,
    package_dir    TEXT,
    data_due       TEXT,
    replaced_by    INTEGER NOT NULL,
    replaced       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX previous_manifest ON previous (manifest);
";
