//! Version 1: what should be (manifests, apps) and what is done about it (operations, steps).

/// Times are milliseconds since 1970; `actor`, `settings`, `ports`, `params` and `plan` are JSON.
pub(super) const SQL: &str = "
CREATE TABLE manifests (
    digest   TEXT PRIMARY KEY,
    text     BLOB NOT NULL,
    accepted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE apps (
    id             TEXT PRIMARY KEY,
    generation     INTEGER NOT NULL,
    manifest       TEXT NOT NULL REFERENCES manifests (digest),
    desired        TEXT NOT NULL CHECK (desired IN ('running', 'stopped', 'removed', 'purged')),
    actor          TEXT NOT NULL,
    since          INTEGER NOT NULL,
    settings       TEXT NOT NULL,
    ports          TEXT NOT NULL,
    pinned_version TEXT,
    package_dir    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX apps_manifest ON apps (manifest);

CREATE TABLE operations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    app        TEXT,
    kind       TEXT NOT NULL,
    actor      TEXT NOT NULL,
    phase      TEXT NOT NULL CHECK (phase IN
                   ('queued', 'running', 'done', 'failed', 'rolled-back', 'cancelled')),
    created    INTEGER NOT NULL,
    started    INTEGER,
    finished   INTEGER,
    cause_code TEXT,
    cause_text TEXT,
    params     TEXT NOT NULL,
    plan       TEXT NOT NULL
) STRICT;
CREATE INDEX operations_app ON operations (app, id);
CREATE INDEX operations_open ON operations (id) WHERE phase IN ('queued', 'running');

CREATE TABLE steps (
    operation   INTEGER NOT NULL REFERENCES operations (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    description TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN
                    ('pending', 'running', 'done', 'failed', 'skipped')),
    started     INTEGER,
    finished    INTEGER,
    outcome     TEXT,
    PRIMARY KEY (operation, seq)
) STRICT, WITHOUT ROWID;
";
