//! Who is let through: the same sessions, password and limits as on the dashboard.

use std::net::IpAddr;
use std::sync::Arc;

use archy_api::method::{AuthLogin, Method as _};
use archy_api::paths::SESSION_COOKIE;
use archy_proxy::{Doorkeeper, Login, Visitor};
use archy_types::AppId;
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};

use crate::app::App;
use crate::auth::login::{self, Refused};
use crate::auth::{Limit, cookies, sessions};
use crate::clock;

/// Asks the daemon's sessions.
#[derive(Debug)]
pub(super) struct Keeper(Arc<App>);

impl Keeper {
    pub(super) const fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl Doorkeeper for Keeper {
    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let token = cookies::get(headers, SESSION_COOKIE)?;
        let session = self.0.sessions.find(token, clock::steady_now())?;
        Some(Visitor { user: session.user.clone() })
    }

    fn login(&self, from: IpAddr, password: String, secure: bool) -> BoxFuture<'static, Login> {
        let app = self.0.clone();
        Box::pin(async move { try_login(&app, from, password, secure).await })
    }

    fn absence(&self, app: &AppId) -> String {
        let snapshot = self.0.backends.engine.snapshot();
        let report = snapshot.apps.get(app).map(|view| &view.report);
        report.map(|report| report.cause.text.clone()).unwrap_or_default()
    }
}

async fn try_login(app: &App, from: IpAddr, password: String, secure: bool) -> Login {
    if let Some(rate) = AuthLogin::ACCESS.rate {
        let limit = Limit::new(rate.count, u64::from(rate.seconds));
        let counted = app.limiter.count(AuthLogin::NAME, Some(from), limit, clock::steady_millis());
        if let Err(wait) = counted {
            return Login::TooMany(wait);
        }
    }
    let peer = from.to_canonical().to_string();
    let begun = match login::check(app, Some(from), &peer, password).await {
        Ok(role) => login::begin(app, role, peer).await,
        Err(Refused::Wrong) => return Login::Wrong,
        Err(Refused::NotSetUp) => return Login::NotSetUp,
        Err(Refused::Failed(error)) => Err(error),
    };
    match begun {
        Ok(tokens) => {
            let mut headers = HeaderMap::new();
            let age = sessions::COOKIE_SECS;
            cookies::set(&mut headers, &tokens.session, &tokens.csrf, secure, age);
            Login::Welcome(headers.get_all(header::SET_COOKIE).iter().cloned().collect())
        }
        Err(error) => {
            tracing::error!(%error, "a login on an app's port failed");
            Login::Failed
        }
    }
}
