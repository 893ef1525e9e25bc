//! The owner's password, sessions, cookies, limits.

pub mod cookies;
pub mod limiter;
pub mod login;
pub mod password;
pub mod sessions;
pub mod user_file;

pub use archy_api::Role;
pub use limiter::{Limit, Limiter};
pub use sessions::{Session, Sessions, Tokens};
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
