//! A password is checked and a session begun: the same for the dashboard and for every app's port.

use std::net::IpAddr;

use archy_api::Role;
use archy_api::method::{AuthLogin, Method as _};
use archy_types::UserError;

use super::password::{self, Verdict};
use super::{Tokens, role_of};
use crate::app::App;
use crate::clock;

/// The only user there is.
pub const OWNER: &str = "owner";

/// Why a password does not open the node.
#[derive(Debug)]
pub enum Refused {
    /// There is none yet.
    NotSetUp,
    /// It is another.
    Wrong,
    /// It could not be checked.
    Failed(UserError),
}

/// Checks a password; a right one does not use up the limit of guesses. `peer` is for the log.
///
/// # Errors
/// See [`Refused`].
pub async fn check(
    app: &App,
    from: Option<IpAddr>,
    peer: &str,
    password: String,
) -> Result<Role, Refused> {
    let owner = app.users.owner().await.map_err(Refused::Failed)?.ok_or(Refused::NotSetUp)?;
    match password::verify(password.clone(), owner.password_hash.clone()).await {
        Verdict::Wrong => {
            tracing::warn!(from = peer, "login refused");
            return Err(Refused::Wrong);
        }
        Verdict::Right => {}
        Verdict::RightButOld => {
            let hash = password::hash(password).await.map_err(Refused::Failed)?;
            // the login stands even if the better hash cannot be kept
            match app.users.replace(&owner.password_hash, hash).await {
                Ok(()) => tracing::info!("the password's hash was made anew with Argon2id"),
                Err(error) => tracing::warn!(%error, "the password's old hash stays"),
            }
        }
    }
    tracing::info!(from = peer, "logged in");
    app.limiter.forgive(AuthLogin::NAME, from);
    Ok(role_of(&owner.role).unwrap_or(Role::Viewer))
}

/// Begins a session of the owner.
///
/// # Errors
/// The store cannot be written.
pub async fn begin(app: &App, role: Role, peer: String) -> Result<Tokens, UserError> {
    let tokens = app.sessions.begin(OWNER, role, peer, clock::steady_now()).await;
    tokens.map_err(UserError::from)
}
