//! Who is logged in. The store has the SHA-256 of a session's token, never the token.

use archy_types::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::db::Fault;
use crate::error::StoreError;
use crate::rows::{self, Reader};
use crate::store::Store;

/// A session; `Debug` shows neither hash nor CSRF token.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the token as 64 lower-case hex digits.
    pub token_hash: String,
    /// What `X-CSRF-Token` must say.
    pub csrf: String,
    /// The user.
    pub user: String,
    /// The user's role when the session began.
    pub role: String,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// From when on it does not count.
    pub expires: Timestamp,
    /// Where it came from, for people.
    pub remote: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("role", &self.role)
            .field("created", &self.created)
            .field("last_seen", &self.last_seen)
            .field("expires", &self.expires)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps a session.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the hash does not look like one (so that a token itself is
    /// never kept), failures to write.
    pub async fn put_session(&self, session: Session) -> Result<(), StoreError> {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if session.token_hash.len() != 64 || !session.token_hash.bytes().all(hex) {
            let reason = "is not 64 lower-case hex digits".to_owned();
            return Err(StoreError::Refused { what: "the hash of the session's token", reason });
        }
        self.write_minor(move |connection| put(connection, &session)).await
    }

    /// The session with this hash, unless it has expired at `now`.
    ///
    /// # Errors
    /// Failures to read.
    pub async fn session(
        &self,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let hash = token_hash.to_owned();
        self.read(move |connection| {
            let sql = "SELECT * FROM sessions WHERE token_hash = ? AND expires > ?";
            rows::one(connection, sql, params![hash, now.0], read_session)
        })
        .await
    }

    /// All sessions that have not expired at `now`, last used first.
    ///
    /// # Errors
    /// Failures to read.
    pub async fn sessions(&self, now: Timestamp) -> Result<Vec<Session>, StoreError> {
        self.read(move |connection| {
            let sql =
                "SELECT * FROM sessions WHERE expires > ? ORDER BY last_seen DESC, token_hash";
            rows::all(connection, sql, [now.0], read_session)
        })
        .await
    }

    /// Notes that a session was used and until when it counts; false when there is none.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn touch_session(
        &self,
        token_hash: &str,
        seen: Timestamp,
        expires: Timestamp,
    ) -> Result<bool, StoreError> {
        let hash = token_hash.to_owned();
        self.write_minor(move |connection| {
            let sql = "UPDATE sessions SET last_seen = ?, expires = ? WHERE token_hash = ?";
            Ok(connection.prepare_cached(sql)?.execute(params![seen.0, expires.0, hash])? > 0)
        })
        .await
    }

    /// Ends a session; false when there was none.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn delete_session(&self, token_hash: &str) -> Result<bool, StoreError> {
        let hash = token_hash.to_owned();
        self.write_minor(move |connection| {
            Ok(connection.execute("DELETE FROM sessions WHERE token_hash = ?", [hash])? > 0)
        })
        .await
    }

    /// Ends a user's sessions, except perhaps one (a changed password keeps its own); says how many.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn delete_sessions_of(
        &self,
        user: &str,
        except: Option<&str>,
    ) -> Result<usize, StoreError> {
        let (user, except) = (user.to_owned(), except.map(str::to_owned));
        self.write_minor(move |connection| {
            let sql = "DELETE FROM sessions WHERE user = ? AND token_hash IS NOT ?";
            Ok(connection.execute(sql, params![user, except])?)
        })
        .await
    }

    /// Forgets the sessions that have expired at `now`; says how many.
    ///
    /// # Errors
    /// Failures to write.
    pub async fn prune_sessions(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write_minor(move |connection| {
            Ok(connection.execute("DELETE FROM sessions WHERE expires <= ?", [now.0])?)
        })
        .await
    }
}

fn put(connection: &Connection, session: &Session) -> Result<(), Fault> {
    let sql = "INSERT OR REPLACE INTO sessions
                   (token_hash, csrf, user, role, created, last_seen, expires, remote)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![
        session.token_hash,
        session.csrf,
        session.user,
        session.role,
        session.created.0,
        session.last_seen.0,
        session.expires.0,
        session.remote,
    ])?;
    Ok(())
}

fn read_session(row: &Row<'_>) -> Result<Session, Fault> {
    let reader = Reader { row, table: "sessions", key: row.get("user")? };
    Ok(Session {
        token_hash: reader.get("token_hash")?,
        csrf: reader.get("csrf")?,
        user: reader.get("user")?,
        role: reader.get("role")?,
        created: Timestamp(reader.get("created")?),
        last_seen: Timestamp(reader.get("last_seen")?),
        expires: Timestamp(reader.get("expires")?),
        remote: reader.get("remote")?,
    })
}
