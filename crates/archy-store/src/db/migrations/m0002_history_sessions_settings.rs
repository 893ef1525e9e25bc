//! Version 2: what happened (events), who is logged in (sessions), what the owner chose (settings).

/// `fields` and `value` are JSON. A session's key is the SHA-256 of its token, never the token.
pub(super) const SQL: &str = "
CREATE TABLE events (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    app    TEXT,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    text   TEXT NOT NULL,
    fields TEXT NOT NULL
) STRICT;
CREATE INDEX events_app ON events (app, seq);

CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY CHECK (length(token_hash) = 64),
    csrf       TEXT NOT NULL,
    user       TEXT NOT NULL,
    role       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    remote     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user);

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";
