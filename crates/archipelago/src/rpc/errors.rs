//! Errors on their way out: bounded, without the node's paths.

use archy_api::rpc::{ErrorObject, FORBIDDEN, INTERNAL_ERROR, TOO_MANY, UNAUTHORIZED};

use crate::config::Paths;

/// Longest message that leaves over the network, in bytes.
const MAX_MESSAGE: usize = 200;

/// Directories and what is shown in their place.
#[derive(Debug)]
pub struct Masks(Vec<(String, &'static str)>);

impl Masks {
    /// Masks for the daemon's directories.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        let mut masks: Vec<(String, &'static str)> = [
            (&paths.secrets_dir, "<secrets>"),
            (&paths.state_dir, "<state>"),
            (&paths.data_dir, "<data>"),
            (&paths.quadlet_dir, "<units>"),
            (&paths.ssl_dir, "<ssl>"),
            (&paths.hook_files_dir, "<files>"),
            (&paths.podman_socket, "<podman>"),
            (&paths.rpc_socket, "<socket>"),
            (&paths.runtime_dir, "<run>"),
        ]
        .into_iter()
        .chain(paths.apps_dirs.iter().map(|dir| (dir, "<apps>")))
        .map(|(path, name)| (path.display().to_string(), name))
        .filter(|(path, _)| path.len() > 1)
        .collect();
        // the longest first, so that a directory inside another is named by its own
        masks.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Self(masks)
    }

    fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path, name))
    }

    /// An error as it may leave over the network.
    #[must_use]
    pub fn clean(&self, mut error: ErrorObject) -> ErrorObject {
        error.message = cut(&self.apply(&error.message), MAX_MESSAGE);
        if let Some(data) = &mut error.data {
            data.hint = data.hint.take().map(|hint| cut(&self.apply(&hint), 2 * MAX_MESSAGE));
        }
        error
    }
}

/// A text cut to at most `limit` bytes, on a character's boundary, with a mark.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit.saturating_sub("…".len()));
    format!("{}…", &text[..end])
}

/// No valid session.
#[must_use]
pub fn unauthorized() -> ErrorObject {
    ErrorObject::new(UNAUTHORIZED, "unauthorized", "Session missing or expired.")
        .hint("Log in with auth.login.")
}

/// No password yet.
#[must_use]
pub fn not_set_up() -> ErrorObject {
    ErrorObject::new(UNAUTHORIZED, "not-set-up", "This node has no password yet.")
        .hint("Set one with auth.setup.")
}

/// The origin rule.
#[must_use]
pub fn origin() -> ErrorObject {
    let message = "Invalid origin: a page of another address made this call.";
    ErrorObject::new(FORBIDDEN, "forbidden-origin", message)
        .hint("Use the dashboard's own address, on port 80 or 443.")
}

/// The role does not suffice.
#[must_use]
pub fn role(method: &str) -> ErrorObject {
    let message = format!("Invalid role: insufficient permissions for {method}.");
    ErrorObject::new(FORBIDDEN, "insufficient-permissions", message)
        .hint("Log in as an administrator.")
}

/// The CSRF token is missing or wrong.
#[must_use]
pub fn csrf() -> ErrorObject {
    ErrorObject::new(FORBIDDEN, "csrf-missing", "Missing or wrong X-CSRF-Token header.")
        .hint("Repeat the value of the csrf_token cookie in the header.")
}

/// Too many calls.
#[must_use]
pub fn too_many(wait: std::time::Duration) -> ErrorObject {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let message = format!("Too many attempts; try again in {seconds} s.");
    let mut error =
        ErrorObject::new(TOO_MANY, "rate-limited", message).hint(format!("Wait {seconds} s."));
    if let Some(data) = &mut error.data {
        data.retry_after = Some(seconds);
    }
    error
}

/// The daemon failed; the cause is in the log under the id.
#[must_use]
pub fn internal(log_id: String) -> ErrorObject {
    let mut error = ErrorObject::new(INTERNAL_ERROR, "internal", "The daemon failed at this call.")
        .hint(format!("journalctl -u archipelago shows it under {log_id}; please report it."));
    if let Some(data) = &mut error.data {
        data.log_id = Some(log_id);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_never_split_a_character() {
        for limit in 3..60 {
            let text = cut("añ日本語😀 and so on, for quite a while longer", limit);
            assert!(text.len() <= limit, "{limit}: {text}");
        }
        assert_eq!(cut("short", 200), "short");
    }
}
