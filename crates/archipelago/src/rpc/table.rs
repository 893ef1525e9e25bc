//! The dispatch table: every method of the API and its handler.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use archy_api::method::{self, Method, MethodInfo};
use archy_api::rpc::{ErrorObject, Request};
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::access::Caller;
use super::{adopt, auth, config, doctor, explain, node, package, plan, update};
use crate::app::App;
use crate::auth::Tokens;

/// What a handler gives.
pub type Answer<T> = Result<T, ErrorObject>;

/// A call on its way through a handler.
#[derive(Debug)]
pub struct Call {
    /// Who called.
    pub caller: Caller,
    cookies: Mutex<Cookies>,
}

/// What the answer does to the caller's cookies.
#[derive(Debug, Default)]
pub enum Cookies {
    /// Nothing.
    #[default]
    Keep,
    /// Begins a session.
    Set(Tokens),
    /// Ends it.
    Clear,
}

impl Call {
    /// A call of somebody.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self { caller, cookies: Mutex::default() }
    }

    /// Changes the caller's cookies with the answer.
    pub fn set_cookies(&self, cookies: Cookies) {
        *self.cookies.lock().unwrap_or_else(PoisonError::into_inner) = cookies;
    }

    /// What was set.
    #[must_use]
    pub fn take_cookies(&self) -> Cookies {
        std::mem::take(&mut *self.cookies.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs a method.
pub(super) type Handler =
    fn(app: Arc<App>, call: Arc<Call>, request: Request) -> BoxFuture<'static, Answer<Value>>;

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// The method.
    pub(super) info: &'static MethodInfo,
    /// Its handler.
    pub(super) handler: Handler,
}

macro_rules! handlers {
    ($($method:ident => $handler:path;)+) => {
        /// Name and handler of each method.
        const HANDLERS: &[(&str, Handler)] = &[$((
            <method::$method as Method>::NAME,
            |app, call, request| Box::pin(async move {
                let params: <method::$method as Method>::Params = request.params()?;
                let result: <method::$method as Method>::Result =
                    $handler(&app, &call, params).await?;
                serde_json::to_value(result).map_err(|error| {
                    tracing::error!(%error, "a result could not be serialized");
                    super::errors::internal("serialize".to_owned())
                })
            }),
        )),+];
    };
}

handlers! {
    Health => node::health;
    AuthIsSetup => auth::is_setup;
    AuthIsOnboardingComplete => auth::is_onboarding_complete;
    AuthSetup => auth::setup;
    AuthLogin => auth::login;
    AuthLogout => auth::logout;
    AuthChangePassword => auth::change_password;
    ServerGetState => node::get_state;
    ServerSetName => node::set_name;
    PackageAvailable => package::available;
    PackageInstall => package::install;
    PackageUpdate => update::update;
    PackageRollback => update::rollback;
    PackageAdoptable => adopt::adoptable;
    PackageAdopt => adopt::adopt;
    PackageMigrate => adopt::migrate;
    PackagePlan => plan::plan;
    PackageStart => package::start;
    PackageStop => package::stop;
    PackageRestart => package::restart;
    PackageUninstall => package::uninstall;
    PackageLogs => super::logs::tail;
    PackageHistory => package::history;
    PackageExplain => explain::explain;
    PackageConfigGet => config::get;
    PackageConfigSet => config::set;
    PackageExec => package::exec;
    ContainerList => node::containers;
    SystemInfo => node::system_info;
    SystemGetHostname => node::hostname;
    SystemStats => node::stats;
    SystemDoctor => doctor::doctor;
    SystemMend => doctor::mend;
    SystemSupport => doctor::support;
    NodeStatus => node::status;
}

static TABLE: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let entry = |(name, handler): &(&'static str, Handler)| {
        let info = method::find(name)?;
        Some((*name, Entry { info, handler: *handler }))
    };
    HANDLERS.iter().filter_map(entry).collect()
});

/// The method of a name.
#[must_use]
pub(super) fn find(name: &str) -> Option<Entry> {
    TABLE.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_one_handler() {
        let handlers: Vec<_> = HANDLERS.iter().map(|(name, _)| *name).collect();
        for method in method::METHODS {
            let count = handlers.iter().filter(|name| **name == method.name).count();
            assert_eq!(count, 1, "{}", method.name);
        }
        assert_eq!(handlers.len(), method::METHODS.len());
    }
}
