//! Users, passwords, second factors, sessions, tokens, cookies, limits, and what was done by whom.

pub mod agent;
pub mod audit;
pub mod cookies;
pub(crate) mod file;
pub mod limiter;
pub mod login;
pub mod onboarding;
pub mod passkeys;
pub mod password;
pub mod pending;
pub mod sessions;
pub mod signer;
pub mod tokens;
pub mod totp;
pub mod user_file;

pub use archy_api::Role;
pub use audit::Audit;
pub use limiter::{Limit, Limiter};
pub use pending::Pending;
pub use sessions::{Session, Sessions, Tokens};
pub use tokens::TokenFile;
pub use user_file::UserFile;

/// The role in the words of the store and of `user.json`.
pub(crate) const fn role_name(role: Role) -> &'static str {
    match role {
        Role::AppUser => "AppUser",
        Role::Viewer => "Viewer",
        Role::Admin => "Admin",
    }
}

/// The role of a word.
pub(crate) fn role_of(name: &str) -> Option<Role> {
    [Role::AppUser, Role::Viewer, Role::Admin].into_iter().find(|role| role_name(*role) == name)
}
