//! What is in front of a port, and who decides about visitors.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use archy_types::AppId;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Who may pass a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Those with a session of the dashboard.
    Gated,
    /// Everybody; the app does its own asking.
    Open,
}

/// One port of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The app.
    pub app: AppId,
    /// Its name for people.
    pub title: String,
    /// The port on the node's addresses.
    pub port: u16,
    /// Where the app itself listens.
    pub upstream: SocketAddr,
    /// Who may pass.
    pub access: Access,
    /// Header that tells the app who is there; whatever a client sends under this name is dropped.
    pub identity_header: Option<HeaderName>,
    /// What is changed in its pages.
    pub page: Page,
    /// Other ports of the same app; their pages may write to this one.
    pub siblings: Vec<u16>,
}

/// What is changed in an app's pages on their way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The dashboard may put them into a frame even where they forbid frames.
    pub allow_frame: bool,
    /// They are given a signer for Nostr (NIP-07).
    pub nostr: Option<Nostr>,
}

/// The signer's script in an app's pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nostr {
    /// The script's text.
    pub script: &'static str,
    /// It logs the visitor in by itself (NIP-98).
    pub login: bool,
}

/// Somebody with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The user's name.
    pub user: String,
}

/// Whom a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Somebody who may use the app.
    Visitor(Visitor),
    /// Somebody with a session who may not use this app.
    NotTheirs,
    /// Nobody known.
    Stranger,
}

/// What came of a password.
#[derive(Debug)]
pub enum Login {
    /// It is right; these `Set-Cookie` values begin the session.
    Welcome(Vec<HeaderValue>),
    /// A code of the second factor is asked for as well; these values hold what was done so far.
    Code(Vec<HeaderValue>),
    /// It is wrong.
    Wrong,
    /// The password was typed too long ago for this code.
    Expired,
    /// Too many were wrong; after this time another may be tried.
    TooMany(Duration),
    /// Nobody has set a password yet.
    NotSetUp,
    /// It could not be checked; the log says why.
    Failed,
}

/// What somebody types to be let in.
#[derive(Debug)]
pub enum Typed {
    /// A password, of the owner if there is no name.
    Password {
        /// Who they say they are.
        user: Option<String>,
        /// The password.
        password: Secret,
    },
    /// A code of the second factor, or a backup code.
    Code(Secret),
}

/// A secret that nothing prints.
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Decides about visitors.
pub trait Doorkeeper: Send + Sync + 'static {
    /// Who asks for an app, by the cookies of the request.
    fn who(&self, headers: &HeaderMap, app: &AppId) -> Who;

    /// Comes when the one who asked with these cookies may not use the app any more: their session has
    /// ended, or what they may open has changed. This is no use of the session.
    fn until(&self, cookies: &HeaderMap, app: &AppId) -> BoxFuture<'static, ()>;

    /// True when others than the owner may log in, so that a name is asked for.
    fn asks_name(&self) -> bool;

    /// Checks what was typed on an app's port; counts against the same limits as a login on the
    /// dashboard. `headers` are the request's; `secure` when it came over TLS.
    fn login(
        &self,
        from: IpAddr,
        headers: &HeaderMap,
        typed: Typed,
        secure: bool,
    ) -> BoxFuture<'static, Login>;

    /// Why an app does not answer, in a sentence for people.
    fn absence(&self, app: &AppId) -> String;
}
