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
}

/// Somebody with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The user's name.
    pub user: String,
}

/// What came of a password.
#[derive(Debug)]
pub enum Login {
    /// It is right; these `Set-Cookie` values begin the session.
    Welcome(Vec<HeaderValue>),
    /// It is wrong.
    Wrong,
    /// Too many were wrong; after this time another may be tried.
    TooMany(Duration),
    /// Nobody has set a password yet.
    NotSetUp,
    /// It could not be checked; the log says why.
    Failed,
}

/// Decides about visitors.
pub trait Doorkeeper: Send + Sync + 'static {
    /// Who asks, by the cookies of the request.
    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor>;

    /// Checks a password that was typed on an app's port; counts against the same limit as a login on
    /// the dashboard. `secure` when it came over TLS.
    fn login(&self, from: IpAddr, password: String, secure: bool) -> BoxFuture<'static, Login>;

    /// Why an app does not answer, in a sentence for people.
    fn absence(&self, app: &AppId) -> String;
}
