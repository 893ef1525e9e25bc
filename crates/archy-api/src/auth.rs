//! `auth.*`: the password, sessions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Parameters of `auth.setup` and `auth.login`. The answer's cookies hold session and CSRF token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct PasswordParams {
    /// The password.
    pub password: String,
}

/// Parameters of `auth.changePassword`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct ChangePasswordParams {
    /// The password until now.
    #[serde(alias = "currentPassword", alias = "old_password", alias = "oldPassword")]
    pub current_password: String,
    /// The password from now on.
    #[serde(alias = "newPassword")]
    pub new_password: String,
}

impl std::fmt::Debug for PasswordParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordParams(…)")
    }
}

impl std::fmt::Debug for ChangePasswordParams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangePasswordParams(…)")
    }
}
