//! `users.*`: who else may come in.

use std::collections::BTreeSet;

use archy_api::Role;
use archy_api::rpc::NoParams;
use archy_api::users::{CreateUserParams, UpdateUserParams, UserParams, UserRecord};
use archy_types::{AppId, UserError};

use super::super::table::{Answer, Call};
use crate::app::App;
use crate::auth::user_file::{OWNER, Record, owner_stays};
use crate::auth::{password, role_name};
use crate::clock;

pub(in crate::rpc) async fn list(app: &App, _: &Call, _: NoParams) -> Answer<Vec<UserRecord>> {
    Ok(app.users.list().await?.iter().map(|(name, record)| shown(name, record)).collect())
}

pub(in crate::rpc) async fn create(
    app: &App,
    _: &Call,
    params: CreateUserParams,
) -> Answer<UserRecord> {
    let name = check_name(&params.name)?;
    password::check_new(params.password.expose())?;
    let apps = match params.apps {
        Some(apps) => read_apps(apps)?,
        None if params.role == Role::AppUser => Some(BTreeSet::new()),
        None => None,
    };
    let record = Record {
        password_hash: Some(password::hash(params.password.into_inner()).await?),
        role: Some(role_name(params.role).to_owned()),
        apps,
        created: Some(clock::now().0),
        ..Record::default()
    };
    app.users.add(name, record.clone()).await?;
    tracing::info!(user = name, role = role_name(params.role), "a user was made");
    Ok(shown(name, &record))
}

pub(in crate::rpc) async fn update(
    app: &App,
    call: &Call,
    params: UpdateUserParams,
) -> Answer<UserRecord> {
    let name = params.name.as_str();
    if name == OWNER && (params.role.is_some() || params.apps.is_some()) {
        return Err(owner_stays().into());
    }
    let reset = params.reset_second_factor == Some(true);
    if name == OWNER && call.caller.user() != OWNER && (params.password.is_some() || reset) {
        return Err(super::super::errors::role("users.update of the owner"));
    }
    let apps = params.apps.map(read_apps).transpose()?;
    let hash = match params.password {
        Some(new) => {
            password::check_new(new.expose())?;
            Some(password::hash(new.into_inner()).await?)
        }
        None => None,
    };
    let anew = hash.is_some() || reset || params.role.is_some();
    let role = params.role;
    let record = app
        .users
        .change(name, |record| {
            if let Some(role) = role {
                record.role = Some(role_name(role).to_owned());
            }
            if let Some(apps) = apps {
                record.apps = apps;
            }
            if let Some(hash) = hash {
                record.password_hash = Some(hash);
            }
            if reset {
                record.second_factor = None;
                record.passkeys.clear();
            }
            Ok(record.clone())
        })
        .await?;
    // what somebody has open of an app that is theirs no more
    app.sessions.reconsider();
    if anew {
        super::tokens::end_everything(app, name).await?;
    }
    Ok(shown(name, &record))
}

pub(in crate::rpc) async fn delete(app: &App, _: &Call, params: UserParams) -> Answer<()> {
    app.users.remove(&params.name).await?;
    super::tokens::end_everything(app, &params.name).await?;
    tracing::info!(user = params.name, "a user was deleted");
    Ok(())
}

fn shown(name: &str, record: &Record) -> UserRecord {
    UserRecord {
        name: name.to_owned(),
        role: record.role(),
        apps: record.apps.as_ref().map(|apps| apps.iter().map(ToString::to_string).collect()),
        owner: name == OWNER,
        totp: record.second_factor.is_some(),
        passkeys: u32::try_from(record.passkeys.len()).unwrap_or(u32::MAX),
        created: record.created,
    }
}

fn read_apps(apps: Option<Vec<String>>) -> Result<Option<BTreeSet<AppId>>, UserError> {
    let read = |id: String| {
        AppId::new(&id).map_err(|_| {
            let id: String = id.chars().take(40).collect();
            UserError::new("id-invalid", format!("Invalid id: {id:?} is not an app's."))
                .hint("Use a-z, 0-9 and hyphens, at most 63 characters.")
        })
    };
    apps.map(|apps| apps.into_iter().map(read).collect()).transpose()
}

/// A name to log in with.
fn check_name(name: &str) -> Result<&str, UserError> {
    let fits = (2..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'));
    if fits {
        return Ok(name);
    }
    Err(UserError::new(
        "user-name-invalid",
        "Invalid name: it must have 2 to 32 of a-z, 0-9, `.`, `-` and `_`.",
    )
    .hint("Begin with a letter."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, fits) in [
            ("ann", true),
            ("a.b-c_9", true),
            ("a", false),
            ("Ann", false),
            ("9a", false),
            ("an n", false),
            ("änn", false),
            (&"a".repeat(33), false),
        ] {
            assert_eq!(check_name(name).is_ok(), fits, "{name}");
        }
    }
}
