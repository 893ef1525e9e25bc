//! `window.nostr` in apps' pages: consent, the messages between page and dashboard, the script.

pub mod consent;
pub mod desk;
pub mod protocol;

pub use consent::{Consents, Decision, Grant, Verdict};
pub use desk::ConsentDesk;
pub use protocol::Method;

/// Text of `nostr-provider.js`; served with `Cache-Control: no-store` from the app's own origin.
pub const PROVIDER: &str = include_str!("../assets/nostr-provider.js");
/// Path that apps' pages load it from.
pub const PROVIDER_PATH: &str = "/nostr-provider.js";
/// Page of the dashboard that top-level app pages open in a hidden frame.
pub const SIGNER_PATH: &str = "/nostr-signer";

/// The element that loads the script, to stand before `</head>`. `nip98` is true only where the
/// app's manifest asks for a login over HTTP.
#[must_use]
pub fn script_tag(app_id: &str, nip98: bool) -> String {
    let id: String =
        app_id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    let more = if nip98 { " data-nip98" } else { " data-no-nip98" };
    format!("<script src=\"{PROVIDER_PATH}\" data-app-id=\"{id}\"{more}></script>")
}

#[cfg(test)]
mod tests;
