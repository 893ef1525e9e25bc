//! Somebody is let in: the same for the dashboard and for every app's port.

use std::net::IpAddr;
use std::time::Duration;

use archy_api::method::{AuthLogin, AuthLoginBackup, AuthLoginTotp, Method as _};
use archy_types::UserError;

use super::password::{self, Verdict};
use super::tokens::Kind;
use super::user_file::Record;
use super::{Limit, Tokens};
use crate::app::App;
use crate::clock;

pub use super::user_file::OWNER;

/// Codes of second factors that may be wrong, for all users and addresses together: a network of
/// machines that knows a password shall not guess a code of six digits either.
const CODES: Limit = Limit::new(30, 600);
/// What [`CODES`] are counted under.
const CODES_NAME: &str = "auth.second-factor";

/// What a method's calls are counted under: whatever guesses a secret of somebody's, by whichever door,
/// uses up the same attempts.
#[must_use]
pub fn budget(method: &'static str) -> &'static str {
    const DOORS: [&str; 3] = [AuthLogin::NAME, AuthLoginTotp::NAME, AuthLoginBackup::NAME];
    if DOORS.contains(&method) { AuthLogin::NAME } else { method }
}

/// Counts a guess that comes by another method than those of [`budget`].
///
/// # Errors
/// There were too many.
pub fn count_guess(app: &App, visit: &Visit) -> Result<(), Refused> {
    let Some(rate) = AuthLogin::ACCESS.rate else { return Ok(()) };
    let limit = Limit::new(rate.count, u64::from(rate.seconds));
    let counted = app.limiter.count(AuthLogin::NAME, visit.ip, limit, clock::steady_millis());
    counted.map_err(Refused::TooMany)
}

/// Takes a guess back that was right.
pub fn forgive(app: &App, visit: &Visit) {
    app.limiter.forgive(AuthLogin::NAME, visit.ip);
}

/// Where somebody is.
#[derive(Debug, Clone)]
pub struct Visit {
    /// Address for limits; none over the unix socket.
    pub ip: Option<IpAddr>,
    /// Address and browser, for people.
    pub from: String,
}

/// A login of which only the code is missing.
#[derive(Debug, Clone)]
pub struct Half {
    /// The user.
    pub user: String,
    /// They want to be remembered.
    pub remember: bool,
}

/// What a right password leads to.
#[derive(Debug)]
pub enum Entered {
    /// A session.
    Session(Begun),
    /// A code is asked for; it is to come with this token.
    Code(String),
}

/// A session has begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its tokens.
    pub tokens: Tokens,
    /// What the browser is remembered by.
    pub remember: Option<Remembered>,
}

/// The token of a remembered browser.
#[derive(Clone)]
pub struct Remembered(pub String);

impl std::fmt::Debug for Remembered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Remembered(…)")
    }
}

/// Why somebody is not let in.
#[derive(Debug)]
pub enum Refused {
    /// There is no password yet.
    NotSetUp,
    /// User, password, token or code: nobody is told which.
    Wrong,
    /// Nobody has entered a password before this code, or too long ago, or guessed too often.
    Expired,
    /// Too many codes were wrong.
    TooMany(Duration),
    /// It could not be checked.
    Failed(UserError),
}

impl From<UserError> for Refused {
    fn from(error: UserError) -> Self {
        Self::Failed(error)
    }
}

/// Checks a password; a right one does not use up the limit of guesses.
///
/// # Errors
/// See [`Refused`].
pub async fn with_password(
    app: &App,
    visit: &Visit,
    user: Option<&str>,
    password: String,
    remember: bool,
) -> Result<Entered, Refused> {
    if app.users.owner().await?.is_none() {
        return Err(Refused::NotSetUp);
    }
    let user = user.map_or_else(|| OWNER.to_owned(), |user| user.trim().to_ascii_lowercase());
    let record = verify(app, &user, password).await?.ok_or_else(|| {
        tracing::warn!(from = visit.from, "login refused");
        Refused::Wrong
    })?;
    forgive(app, visit);
    // the owner is there: attempts with a signer begin anew
    app.signers.forgive();
    if record.second_factor.is_some() {
        let half = Half { user, remember };
        return Ok(Entered::Code(app.halves.put(half, clock::steady_millis())?));
    }
    Ok(Entered::Session(begin(app, visit, &user, &record, remember).await?))
}

/// The user's record when the password is theirs. It takes as long when there is no such user.
async fn verify(app: &App, user: &str, password: String) -> Result<Option<Record>, UserError> {
    let record = app.users.find(user).await?;
    let hash = match record.as_ref().and_then(|record| record.password_hash.clone()) {
        Some(hash) => hash,
        None => password::nobody().await,
    };
    let verdict = password::verify(password.clone(), hash.clone()).await;
    let Some(record) = record.filter(|_| verdict != Verdict::Wrong) else { return Ok(None) };
    if verdict == Verdict::RightButOld {
        let better = password::hash(password).await?;
        // the login stands even if the better hash cannot be kept
        match app.users.replace(user, &hash, better).await {
            Ok(()) => tracing::info!("the password's hash was made anew with Argon2id"),
            Err(error) => tracing::warn!(%error, "the password's old hash stays"),
        }
    }
    Ok(Some(record))
}

/// Ends a login with a code of the second factor or, with `backup`, a backup code.
///
/// # Errors
/// See [`Refused`].
pub async fn with_code(
    app: &App,
    visit: &Visit,
    token: Option<&str>,
    code: &str,
    backup: bool,
) -> Result<Begun, Refused> {
    let now = clock::steady_millis();
    let token = token.unwrap_or_default();
    let Some(half) = app.halves.look(token, now) else {
        // nothing was guessed
        forgive(app, visit);
        return Err(Refused::Expired);
    };
    app.limiter.count(CODES_NAME, None, CODES, now).map_err(Refused::TooMany)?;
    let seconds = u64::try_from(clock::now().0 / 1000).unwrap_or_default();
    let taken = app
        .users
        .change(&half.user, |record| {
            let factor = record.second_factor.as_mut();
            let taken = factor.is_some_and(|factor| {
                if backup { factor.take_backup(code) } else { factor.take(code, seconds) }
            });
            Ok(taken.then(|| record.clone()))
        })
        .await?;
    let Some(record) = taken else {
        tracing::warn!(from = visit.from, user = half.user, "code refused");
        return Err(Refused::Wrong);
    };
    app.limiter.forgive(CODES_NAME, None);
    forgive(app, visit);
    // only one of two that come at once ends the login
    app.halves.take(token, now).ok_or(Refused::Expired)?;
    Ok(begin(app, visit, &half.user, &record, half.remember).await?)
}

/// Lets a device in by its token, without a second factor.
///
/// # Errors
/// See [`Refused`].
pub async fn with_device(app: &App, visit: &Visit, token: &str) -> Result<Begun, Refused> {
    let now = clock::steady_now();
    let found = app.tokens.find(Kind::Device, token, now).ok_or(Refused::Wrong)?;
    let record = app.users.find(&found.user).await?.ok_or(Refused::Wrong)?;
    forgive(app, visit);
    app.tokens.used(&found.id, now).await;
    let visit = Visit { ip: visit.ip, from: format!("{}, {}", visit.from, found.name) };
    let tokens = begin_with(app, &visit, &found.user, &record, Some(found.id)).await?;
    Ok(Begun { tokens, remember: None })
}

/// Begins a session anew for a browser that is remembered.
///
/// # Errors
/// The store cannot be written.
pub async fn restore(app: &App, visit: &Visit, token: &str) -> Result<Option<Tokens>, UserError> {
    let now = clock::steady_now();
    let Some(found) = app.tokens.find(Kind::Remember, token, now) else { return Ok(None) };
    let Some(record) = app.users.find(&found.user).await? else { return Ok(None) };
    app.tokens.used(&found.id, now).await;
    tracing::info!(from = visit.from, user = found.user, "a remembered browser came back");
    begin_with(app, visit, &found.user, &record, Some(found.id)).await.map(Some)
}

/// Begins a session of a user who was checked.
///
/// # Errors
/// The store cannot be written.
pub async fn begin(
    app: &App,
    visit: &Visit,
    user: &str,
    record: &Record,
    remember: bool,
) -> Result<Begun, UserError> {
    let kept = if remember {
        let now = clock::steady_now();
        Some(app.tokens.create(Kind::Remember, user, &visit.from, now).await?)
    } else {
        None
    };
    let (row, token) = kept.unzip();
    let tokens = begin_with(app, visit, user, record, row.map(|row| row.id)).await?;
    Ok(Begun { tokens, remember: token.map(Remembered) })
}

async fn begin_with(
    app: &App,
    visit: &Visit,
    user: &str,
    record: &Record,
    token: Option<String>,
) -> Result<Tokens, UserError> {
    tracing::info!(from = visit.from, user, "logged in");
    let who = super::sessions::Begin {
        user: user.to_owned(),
        role: record.role(),
        remote: visit.from.clone(),
        token,
    };
    app.sessions.begin(who, clock::steady_now()).await.map_err(UserError::from)
}

/// Asks a user for their password again, against the same limit as a login.
///
/// # Errors
/// See [`Refused`].
pub async fn again(
    app: &App,
    visit: &Visit,
    user: &str,
    password: Option<String>,
) -> Result<(), Refused> {
    count_guess(app, visit)?;
    verify(app, user, password.unwrap_or_default()).await?.ok_or(Refused::Wrong)?;
    forgive(app, visit);
    Ok(())
}

/// Ends everything that lets a user in without their password, except perhaps one session.
///
/// # Errors
/// The store or the tokens' file cannot be written.
pub async fn end_all(
    app: &App,
    user: &str,
    keep: Option<&super::Session>,
) -> Result<(), UserError> {
    app.tokens.revoke(|row| row.user == user).await?;
    app.sessions.end_others(user, keep).await.map_err(UserError::from)
}

/// Seconds that a login waits for its code.
pub const HALF_SECS: i64 = 300;
/// Wrong codes after which a login begins anew.
pub const HALF_TRIES: u32 = 5;

/// Adds the cookies of a session that has begun; `secure` when the request came over HTTPS.
pub fn give_cookies(headers: &mut http::HeaderMap, begun: &Begun, secure: bool) {
    use super::{cookies, sessions, tokens};
    let Tokens { session, csrf } = &begun.tokens;
    cookies::set(headers, session, csrf, secure, sessions::COOKIE_SECS);
    if let Some(Remembered(token)) = &begun.remember {
        cookies::set_remember(headers, token, secure, tokens::REMEMBER_SECS);
    }
}
