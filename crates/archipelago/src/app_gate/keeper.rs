//! Who is let through: the same sessions, users, passwords and limits as on the dashboard.

use std::net::IpAddr;
use std::sync::Arc;

use archy_api::method::{AuthLogin, AuthLoginTotp, Method};
use archy_api::paths::SESSION_COOKIE;
use archy_proxy::{Doorkeeper, Login, Secret, Typed, Visitor, Who};
use archy_types::AppId;
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};

use crate::app::App;
use crate::auth::login::{self, Begun, Entered, HALF_SECS, Refused, Visit};
use crate::auth::{Limit, Session, agent, cookies};
use crate::clock;

/// Asks the daemon's sessions.
#[derive(Debug)]
pub struct Keeper(Arc<App>);

impl Keeper {
    /// A keeper with the sessions, users and limits of this daemon.
    #[must_use]
    pub const fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl Doorkeeper for Keeper {
    fn who(&self, headers: &HeaderMap, app: &AppId) -> Who {
        let session = find(headers, |token| self.0.sessions.find(token, clock::steady_now()));
        match session {
            None => Who::Stranger,
            Some(session) if self.0.users.may_open(&session.user, session.role, app) => {
                Who::Visitor(Visitor { user: session.user.clone() })
            }
            Some(_) => Who::NotTheirs,
        }
    }

    fn until(&self, headers: &HeaderMap, app: &AppId) -> BoxFuture<'static, ()> {
        let (daemon, app) = (self.0.clone(), app.clone());
        let session = find(headers, |token| daemon.sessions.look(token, clock::steady_now()));
        Box::pin(async move {
            let Some(session) = session else { return };
            let may = || daemon.users.may_open(&session.user, session.role, &app);
            daemon.sessions.ended(&session, clock::steady_now, may).await;
        })
    }

    fn asks_name(&self) -> bool {
        self.0.users.has_others()
    }

    fn login(
        &self,
        from: IpAddr,
        headers: &HeaderMap,
        typed: Typed,
        secure: bool,
    ) -> BoxFuture<'static, Login> {
        let app = self.0.clone();
        let visit = visit(from, headers);
        let token = cookies::get(headers, SESSION_COOKIE).map(str::to_owned);
        Box::pin(async move {
            match typed {
                Typed::Password { user, password: Secret(password) } => {
                    with_password(&app, &visit, user.as_deref(), password, secure).await
                }
                Typed::Code(Secret(code)) => {
                    with_code(&app, &visit, token.as_deref(), &code, secure).await
                }
            }
        })
    }

    fn absence(&self, app: &AppId) -> String {
        let snapshot = self.0.backends.engine.snapshot();
        let report = snapshot.apps.get(app).map(|view| &view.report);
        report.map(|report| report.cause.text.clone()).unwrap_or_default()
    }
}

/// The first session of those that the cookies name.
fn find(headers: &HeaderMap, of: impl Fn(&str) -> Option<Arc<Session>>) -> Option<Arc<Session>> {
    cookies::all(headers, SESSION_COOKIE).find_map(of)
}

fn visit(from: IpAddr, headers: &HeaderMap) -> Visit {
    let peer = from.to_canonical().to_string();
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let from_text = match browser.and_then(agent::describe) {
        Some(browser) => format!("{peer}, {browser}"),
        None => peer,
    };
    Visit { ip: Some(from), from: from_text }
}

async fn with_password(
    app: &App,
    visit: &Visit,
    user: Option<&str>,
    password: String,
    secure: bool,
) -> Login {
    if let Some(refusal) = too_many::<AuthLogin>(app, visit) {
        return refusal;
    }
    match login::with_password(app, visit, user, password, false).await {
        Ok(Entered::Session(begun)) => welcome(&begun, secure),
        Ok(Entered::Code(token)) => {
            let mut headers = HeaderMap::new();
            cookies::set_half(&mut headers, &token, secure, HALF_SECS);
            Login::Code(headers.get_all(header::SET_COOKIE).iter().cloned().collect())
        }
        Err(why) => refused(why),
    }
}

async fn with_code(
    app: &App,
    visit: &Visit,
    token: Option<&str>,
    code: &str,
    secure: bool,
) -> Login {
    if let Some(refusal) = too_many::<AuthLoginTotp>(app, visit) {
        return refusal;
    }
    // a code of an authenticator has six digits, a backup code has more
    let backup = code.bytes().filter(u8::is_ascii_alphanumeric).count() > 6;
    match login::with_code(app, visit, token, code, backup).await {
        Ok(begun) => welcome(&begun, secure),
        Err(why) => refused(why),
    }
}

/// Counts an attempt against the limit of the method that does the same on the dashboard.
fn too_many<M: Method>(app: &App, visit: &Visit) -> Option<Login> {
    let rate = M::ACCESS.rate?;
    let limit = Limit::new(rate.count, u64::from(rate.seconds));
    let counted =
        app.limiter.count(login::budget(M::NAME), visit.ip, limit, clock::steady_millis());
    counted.err().map(Login::TooMany)
}

fn welcome(begun: &Begun, secure: bool) -> Login {
    let mut headers = HeaderMap::new();
    login::give_cookies(&mut headers, begun, secure);
    Login::Welcome(headers.get_all(header::SET_COOKIE).iter().cloned().collect())
}

fn refused(why: Refused) -> Login {
    match why {
        Refused::NotSetUp => Login::NotSetUp,
        Refused::Wrong => Login::Wrong,
        Refused::Expired => Login::Expired,
        Refused::TooMany(wait) => Login::TooMany(wait),
        Refused::Failed(error) => {
            tracing::error!(%error, "a login on an app's port failed");
            Login::Failed
        }
    }
}
