//! The dispatch table: every method of the API and its handler.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use archy_api::method::{self, Method, MethodInfo};
use archy_api::rpc::{ErrorObject, Request};
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::access::Caller;
use super::{
    adopt, auth, config, doctor, explain, identity, metrics, node, notify, package, plan, registry,
    update,
};
use crate::app::App;
use crate::auth::login::Begun;

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
#[derive(Default)]
pub enum Cookies {
    /// Nothing.
    #[default]
    Keep,
    /// Begins a session.
    Set(Begun),
    /// A login waits for its code under this token.
    Half(String),
    /// Binds an attempt to log in with a signer to the browser: name and value.
    Bind(String, String),
    /// Ends it.
    Clear,
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Set(_) => "Set(…)",
            Self::Half(_) => "Half(…)",
            Self::Bind(..) => "Bind(…)",
            Self::Clear => "Clear",
        })
    }
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
    AuthLoginTotp => auth::login_totp;
    AuthLoginBackup => auth::login_backup;
    AuthLoginPasskeyStart => auth::passkey::login_start;
    AuthLoginPasskeyFinish => auth::passkey::login_finish;
    AuthLoginSignerAvailable => auth::signer::available;
    AuthLoginSignerStart => auth::signer::start;
    AuthLoginSignerFinish => auth::signer::finish;
    AuthSignerEnrolStart => auth::signer::enrol_start;
    AuthSignerEnrolFinish => auth::signer::enrol_finish;
    AuthSignerList => auth::signer::list;
    AuthSignerRemove => auth::signer::remove;
    AuthSignerStatus => auth::signer::status;
    AuthLogout => auth::logout;
    AuthChangePassword => auth::change_password;
    AuthWhoAmI => auth::who_am_i;
    AuthApps => auth::apps;
    AuthSessions => auth::tokens::sessions;
    AuthRevokeSession => auth::tokens::revoke_session;
    AuthTotpStatus => auth::totp::status;
    AuthTotpSetup => auth::totp::setup;
    AuthTotpEnable => auth::totp::enable;
    AuthTotpDisable => auth::totp::disable;
    AuthTotpBackupCodes => auth::totp::backup_codes;
    AuthCreateDeviceToken => auth::tokens::create;
    AuthListDeviceTokens => auth::tokens::list;
    AuthRevokeDeviceToken => auth::tokens::revoke;
    AuthPasskeyRegisterStart => auth::passkey::register_start;
    AuthPasskeyRegisterFinish => auth::passkey::register_finish;
    AuthPasskeyList => auth::passkey::list;
    AuthPasskeyRemove => auth::passkey::remove;
    AuthAudit => auth::audit::list;
    AuthOnboarding => auth::onboarding::status;
    AuthCompleteOnboarding => auth::onboarding::complete;
    SeedGenerate => auth::onboarding::generate;
    SeedConfirm => auth::onboarding::confirm;
    SeedRestore => auth::onboarding::restore;
    UsersList => auth::users::list;
    UsersCreate => auth::users::create;
    UsersUpdate => auth::users::update;
    UsersDelete => auth::users::delete;
    SystemNodeCa => auth::ca::show;
    SystemNodeCaGenerate => auth::ca::generate;
    ServerGetState => node::get_state;
    ServerSetName => node::set_name;
    PackageAvailable => package::available;
    PackageInstall => package::install;
    PackageUpdate => update::update;
    PackageOutdated => registry::outdated;
    RegistryList => registry::list;
    RegistryInspect => registry::inspect;
    RegistryAdd => registry::add;
    RegistrySet => registry::set;
    RegistryRemove => registry::remove;
    RegistryRefresh => registry::refresh;
    RegistrySetPolicy => registry::set_policy;
    PackageRollback => update::rollback;
    PackageAdoptable => adopt::adoptable;
    PackageAdopt => adopt::adopt;
    PackageMigrate => adopt::migrate;
    PackagePlan => plan::plan;
    PackageStart => package::start;
    PackageStop => package::stop;
    PackageRestart => package::restart;
    PackageCancel => package::cancel;
    PackageUninstall => package::uninstall;
    PackageLogs => super::logs::tail;
    PackageSnapshots => update::snapshots;
    PackageHistory => package::history;
    PackageExplain => explain::explain;
    PackageConfigGet => config::get;
    PackageConfigSet => config::set;
    PackageMetrics => metrics::of_app;
    PackageExec => package::exec;
    ContainerList => node::containers;
    SystemInfo => node::system_info;
    SystemGetHostname => node::hostname;
    SystemStats => node::stats;
    SystemMetrics => metrics::of_node;
    SystemDoctor => doctor::doctor;
    SystemMend => doctor::mend;
    SystemLogs => super::logs::of_node;
    SystemSupport => doctor::support;
    NotifyList => notify::list;
    NotifyMark => notify::mark;
    NotifyGet => notify::settings;
    NotifySet => notify::set;
    NotifyTest => notify::test;
    NotifyPushAdd => notify::push_add;
    NotifyPushRemove => notify::push_remove;
    GateStatus => node::gate_status;
    GateSetAccess => node::set_access;
    IdentityList => identity::list;
    IdentityGet => identity::get;
    IdentityCreate => identity::create;
    IdentityImport => identity::import;
    IdentityUpdate => identity::update;
    IdentitySetDefault => identity::set_default;
    IdentityDelete => identity::delete;
    IdentityPublishProfile => identity::publish_profile;
    IdentityExportKeys => identity::export_keys;
    IdentityCreateNostrKey => identity::create_nostr_key;
    IdentityAffectedApps => identity::affected_apps;
    IdentitySign => identity::sign_text;
    IdentityVerify => identity::verify_text;
    IdentityNostrSign => identity::sign;
    IdentityNostrEncryptNip04 => identity::encrypt_nip04;
    IdentityNostrDecryptNip04 => identity::decrypt_nip04;
    IdentityNostrEncryptNip44 => identity::encrypt_nip44;
    IdentityNostrDecryptNip44 => identity::decrypt_nip44;
    IdentityLinkNip46 => identity::link;
    IdentityLinkStart => identity::start;
    IdentityLinkFinish => identity::finish;
    IdentityConsentAsk => identity::ask;
    IdentityConsentWait => identity::wait;
    IdentityConsentAnswer => identity::answer;
    IdentityConsentList => identity::grants;
    IdentityConsentRevoke => identity::revoke;
    NodeNostrPubkey => identity::node_pubkey;
    NodeNostrSign => identity::node_sign;
    NostrListRelays => identity::list_relays;
    NostrSetRelay => identity::set_relay;
    NostrRemoveRelay => identity::remove_relay;
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
