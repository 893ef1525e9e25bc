//! `users.*`: who else may come in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::access::Role;
use crate::hidden::Hidden;

/// A user; an element of `users.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct UserRecord {
    /// Name to log in with.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The apps they may open; all of them when null.
    pub apps: Option<Vec<String>>,
    /// The one who set the node up: neither deleted nor made less.
    pub owner: bool,
    /// Logins ask for a code.
    pub totp: bool,
    /// Passkeys they have.
    pub passkeys: u32,
    /// When they were made (milliseconds since 1970), if that is known.
    pub created: Option<i64>,
}

/// Parameters of `users.create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct CreateUserParams {
    /// Name to log in with: 2 to 32 of a-z, 0-9, `.`, `-`, `_`, beginning with a letter.
    pub name: String,
    /// Their password.
    pub password: Hidden,
    /// What they may do.
    pub role: Role,
    /// The apps they may open, null for all; none when it is left out, all for a viewer.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[ts(type = "string[] | null")]
    pub apps: Option<Option<Vec<String>>>,
}

/// Parameters of `users.update`: what is left out stays. A new role or password ends the user's sessions.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct UpdateUserParams {
    /// The user.
    pub name: String,
    /// What they may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The apps they may open; null for all.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[ts(type = "string[] | null")]
    pub apps: Option<Option<Vec<String>>>,
    /// A new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
    /// Takes their second factor and passkeys away, for one who lost them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_second_factor: Option<bool>,
}

/// Names a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct UserParams {
    /// The user.
    pub name: String,
}

/// A null that is there differs from one that is not.
fn present<'de, D, T>(input: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(input).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_is_not_an_absence() {
        for (text, apps) in [
            (r#"{"name":"ann"}"#, None),
            (r#"{"name":"ann","apps":null}"#, Some(None)),
            (r#"{"name":"ann","apps":["blog"]}"#, Some(Some(vec!["blog".to_owned()]))),
        ] {
            let params: UpdateUserParams = serde_json::from_str(text).unwrap();
            assert_eq!(params.apps, apps, "{text}");
        }
    }
}
