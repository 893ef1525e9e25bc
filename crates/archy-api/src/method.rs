//! The method table: one line per method.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};
use ts_rs::TS;

use crate::access::{Access, Role};
use crate::document::TypeScript;
use crate::rpc::NoParams;
use crate::{
    auth, container, doctor, door, explain, gate, health, identity, logs, metrics, node, notify,
    package, registry, server, signer, system, users,
};

/// A method of the API.
pub trait Method {
    /// Name on the wire.
    const NAME: &'static str;
    /// Who may call it.
    const ACCESS: Access;
    /// One sentence.
    const SUMMARY: &'static str;
    /// Parameters.
    type Params: DeserializeOwned + Serialize + JsonSchema + TS + Send + 'static;
    /// Result.
    type Result: DeserializeOwned + Serialize + JsonSchema + TS + Send + 'static;
}

/// A line of the method table.
#[derive(Debug, Clone, Copy)]
pub struct MethodInfo {
    /// Name on the wire.
    pub name: &'static str,
    /// Who may call it.
    pub access: Access,
    /// One sentence.
    pub summary: &'static str,
    /// Schema of the parameters.
    pub params: fn(&mut SchemaGenerator) -> Schema,
    /// Schema of the result.
    pub result: fn(&mut SchemaGenerator) -> Schema,
    /// Collects the TypeScript types; gives the names of parameters and result.
    pub typescript: fn(&mut TypeScript) -> (String, String),
}

/// The method of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static MethodInfo> {
    METHODS.iter().find(|method| method.name == name)
}

macro_rules! methods {
    ($($(#[doc = $summary:literal])+ $type:ident = $name:literal ($params:ty) -> $result:ty, $access:expr;)+) => {
        $(
            $(#[doc = $summary])+
            #[derive(Debug, Clone, Copy)]
            pub struct $type;

            impl Method for $type {
                const NAME: &'static str = $name;
                const ACCESS: Access = $access;
                const SUMMARY: &'static str = concat!($($summary),+).trim_ascii_start();
                type Params = $params;
                type Result = $result;
            }
        )+

        /// All methods, in the order of the reference.
        pub const METHODS: &[MethodInfo] = &[$(
            MethodInfo {
                name: <$type as Method>::NAME,
                access: <$type as Method>::ACCESS,
                summary: <$type as Method>::SUMMARY,
                params: |generator| generator.subschema_for::<$params>(),
                result: |generator| generator.subschema_for::<$result>(),
                typescript: |out| (out.add::<$params>(), out.add::<$result>()),
            },
        )+];
    };
}

methods! {
    /// Says that the daemon lives, and whether recovery after a crash is done.
    Health = "health" (NoParams) -> health::HealthResult, Access::public();

    /// Says whether a password is set.
    AuthIsSetup = "auth.isSetup" (NoParams) -> bool, Access::public();
    /// Says whether the first steps are done.
    AuthIsOnboardingComplete = "auth.isOnboardingComplete" (NoParams) -> bool, Access::public();
    /// Sets the owner's password, and the node's name if one is given; refused once one is set.
    AuthSetup = "auth.setup" (auth::SetupParams) -> (),
        Access::public().origin(crate::OriginRule::Standard).rate(5, 60);
    /// Begins a session; its cookies are `session` and `csrf_token`. With a second factor it asks for a code first.
    AuthLogin = "auth.login" (auth::LoginParams) -> Option<auth::LoginStep>,
        Access::public().origin(crate::OriginRule::Standard).rate(5, 60);
    /// Ends a login with a code of the second factor; each code works once.
    AuthLoginTotp = "auth.login.totp" (auth::CodeParams) -> (),
        Access::public().origin(crate::OriginRule::Standard).rate(5, 60);
    /// Ends a login with a backup code; each works once.
    AuthLoginBackup = "auth.login.backup" (auth::CodeParams) -> (),
        Access::public().origin(crate::OriginRule::Standard).rate(5, 60);
    /// Begins a login with a passkey: what to ask the authenticator.
    AuthLoginPasskeyStart = "auth.login.passkey.start" (auth::PasskeyLoginParams) -> auth::PasskeyQuestion,
        Access::public().origin(crate::OriginRule::Prompt).rate(10, 60);
    /// Ends a login with a passkey.
    AuthLoginPasskeyFinish = "auth.login.passkey.finish" (auth::PasskeyAnswer) -> (),
        Access::public().origin(crate::OriginRule::Prompt).rate(10, 60);
    /// Says whether a login with a signer can begin; with a second factor it needs the password first.
    AuthLoginSignerAvailable = "auth.login.signer.available" (NoParams) -> bool,
        Access::public().origin(crate::OriginRule::Prompt).rate(60, 60);
    /// Asks the linked signers to approve a login, or to stand in for the code of the second factor.
    AuthLoginSignerStart = "auth.login.signer.start" (NoParams) -> signer::SignerStarted,
        Access::public().origin(crate::OriginRule::Prompt).rate(10, 300);
    /// Waits at most 10 seconds for the signer; begins the session once it has approved.
    AuthLoginSignerFinish = "auth.login.signer.finish" (signer::AttemptParams) -> signer::SignerProgress,
        Access::public().origin(crate::OriginRule::Prompt).rate(60, 300);
    /// Asks a linked signer whether it may approve logins of the caller.
    AuthSignerEnrolStart = "auth.signer.enrol.start" (signer::SignerParams) -> signer::SignerStarted,
        Access::write(Role::Admin).origin(crate::OriginRule::Prompt).rate(5, 300);
    /// Waits at most 10 seconds for the signer.
    AuthSignerEnrolFinish = "auth.signer.enrol.finish" (signer::AttemptParams) -> signer::EnrolProgress,
        Access::write(Role::Admin).origin(crate::OriginRule::Prompt).rate(60, 300);
    /// Lists the signers that approve logins of the caller.
    AuthSignerList = "auth.signer.list" (NoParams) -> Vec<signer::LoginSigner>,
        Access::read(Role::Admin);
    /// Takes a signer away from the caller's login.
    AuthSignerRemove = "auth.signer.remove" (signer::SignerParams) -> signer::SignerRemoved,
        Access::write(Role::Admin).origin(crate::OriginRule::Prompt).rate(5, 300);
    /// Tells of the last attempts to log in with a signer.
    AuthSignerStatus = "auth.signer.status" (NoParams) -> signer::SignerStatus,
        Access::read(Role::Admin);
    /// Ends the session.
    AuthLogout = "auth.logout" (NoParams) -> (), Access::write(Role::AppUser);
    /// Changes the caller's password and ends all their other sessions and tokens.
    AuthChangePassword = "auth.changePassword" (auth::ChangePasswordParams) -> (),
        Access::write(Role::AppUser).rate(3, 300);
    /// Says who the caller is.
    AuthWhoAmI = "auth.whoami" (NoParams) -> auth::WhoAmI, Access::read(Role::AppUser);
    /// Lists the apps that the caller may open.
    AuthApps = "auth.apps" (NoParams) -> Vec<auth::OpenableApp>, Access::read(Role::AppUser);
    /// Lists sessions.
    AuthSessions = "auth.sessions" (auth::SessionsParams) -> Vec<auth::SessionInfo>,
        Access::read(Role::AppUser);
    /// Ends a session, or all others of the caller.
    AuthRevokeSession = "auth.revokeSession" (auth::RevokeSessionParams) -> auth::RevokedResult,
        Access::write(Role::AppUser);
    /// Says whether logins of the caller ask for a code.
    AuthTotpStatus = "auth.totp.status" (NoParams) -> auth::TotpStatus, Access::read(Role::AppUser);
    /// Makes a secret for an authenticator app; nothing is asked for before a code of it was given.
    AuthTotpSetup = "auth.totp.setup" (auth::AgainParams) -> auth::TotpSetup,
        Access::write(Role::AppUser).rate(3, 300);
    /// Switches the second factor on with a first code, and gives the backup codes.
    AuthTotpEnable = "auth.totp.enable" (auth::CodeParams) -> auth::BackupCodes,
        Access::write(Role::AppUser).rate(5, 60);
    /// Switches the second factor off.
    AuthTotpDisable = "auth.totp.disable" (auth::AgainParams) -> (),
        Access::write(Role::AppUser).rate(3, 300);
    /// Gives new backup codes; the old ones do not work any more.
    AuthTotpBackupCodes = "auth.totp.backupCodes" (auth::AgainParams) -> auth::BackupCodes,
        Access::write(Role::AppUser).rate(3, 300);
    /// Makes a token with which a device logs in without a second factor.
    AuthCreateDeviceToken = "auth.createDeviceToken" (auth::CreateDeviceTokenParams) -> auth::CreatedDeviceToken,
        Access::write(Role::AppUser).rate(10, 300);
    /// Lists the caller's device tokens.
    AuthListDeviceTokens = "auth.listDeviceTokens" (NoParams) -> Vec<auth::DeviceToken>,
        Access::read(Role::AppUser);
    /// Takes a device token back and ends its sessions.
    AuthRevokeDeviceToken = "auth.revokeDeviceToken" (auth::IdParams) -> (),
        Access::write(Role::AppUser);
    /// Begins to register a passkey: what to ask the authenticator. The page must have a name, not an address.
    AuthPasskeyRegisterStart = "auth.passkey.registerStart" (auth::PasskeyStartParams) -> auth::PasskeyQuestion,
        Access::write(Role::AppUser).origin(crate::OriginRule::Prompt).rate(5, 300);
    /// Ends the registration of a passkey.
    AuthPasskeyRegisterFinish = "auth.passkey.registerFinish" (auth::PasskeyAnswer) -> auth::PasskeyInfo,
        Access::write(Role::AppUser).origin(crate::OriginRule::Prompt).rate(5, 300);
    /// Lists the caller's passkeys.
    AuthPasskeyList = "auth.passkey.list" (NoParams) -> Vec<auth::PasskeyInfo>,
        Access::read(Role::AppUser);
    /// Takes one of the caller's passkeys away.
    AuthPasskeyRemove = "auth.passkey.remove" (auth::IdParams) -> (), Access::write(Role::AppUser);
    /// Gives what was done by whom, newest first.
    AuthAudit = "auth.audit" (auth::AuditParams) -> auth::AuditResult, Access::read(Role::Admin);

    /// Says what of the first steps is done.
    AuthOnboarding = "auth.onboarding" (NoParams) -> door::OnboardingStatus, Access::read(Role::Viewer);
    /// Notes that the first steps are over; the seed may still be missing.
    AuthCompleteOnboarding = "auth.completeOnboarding" (NoParams) -> door::OnboardingStatus,
        Access::write(Role::Admin);
    /// Makes the recovery seed, and shows it for as long as nobody has confirmed it.
    SeedGenerate = "seed.generate" (auth::AgainParams) -> door::GeneratedSeed,
        Access::write(Role::Admin).rate(10, 300);
    /// Proves that the seed was written down: some of its words.
    SeedConfirm = "seed.confirm" (door::ConfirmSeedParams) -> door::OnboardingStatus,
        Access::write(Role::Admin).rate(10, 300);
    /// Takes a seed of an earlier node in place of a new one.
    SeedRestore = "seed.restore" (door::RestoreSeedParams) -> door::OnboardingStatus,
        Access::write(Role::Admin).rate(10, 300);

    /// Lists the users.
    UsersList = "users.list" (NoParams) -> Vec<users::UserRecord>, Access::read(Role::Admin);
    /// Lets somebody else in.
    UsersCreate = "users.create" (users::CreateUserParams) -> users::UserRecord,
        Access::write(Role::Admin).rate(20, 300);
    /// Changes what a user may do, the apps they may open, or their password.
    UsersUpdate = "users.update" (users::UpdateUserParams) -> users::UserRecord,
        Access::write(Role::Admin).rate(20, 300);
    /// Deletes a user and ends their sessions.
    UsersDelete = "users.delete" (users::UserParams) -> (), Access::write(Role::Admin);

    /// Gives the whole state: apps, node, sequence number.
    ServerGetState = "server.get-state" (NoParams) -> server::GetStateResult,
        Access::read(Role::Viewer);
    /// Names the node.
    ServerSetName = "server.set-name" (server::SetNameParams) -> server::SetNameResult,
        Access::write(Role::Admin);

    /// Lists the apps whose manifest the node has.
    PackageAvailable = "package.available" (NoParams) -> package::AvailableResult,
        Access::read(Role::Viewer);
    /// Installs an app, or brings an installed one to the manifest; the work goes on in the background.
    PackageInstall = "package.install" (package::InstallParams) -> package::InstallResult,
        Access::write(Role::Admin);
    /// Brings an installed app to another manifest; what fails is taken back with image, units, settings and data.
    PackageUpdate = "package.update" (package::UpdateParams) -> package::InstallResult,
        Access::write(Role::Admin);
    /// Brings back what an app was before its last update.
    PackageRollback = "package.rollback" (package::RollbackParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Lists apps whose containers are there and were not made by Archipelago.
    PackageAdoptable = "package.adoptable" (NoParams) -> package::AdoptableResult,
        Access::read(Role::Admin);
    /// Takes over containers that Archipelago did not make, as they are and as they run.
    PackageAdopt = "package.adopt" (package::AdoptParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Makes adopted containers Archipelago's own, with their data and ports; or takes that back.
    PackageMigrate = "package.migrate" (package::MigrateParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Says what an action would do, without doing it.
    PackagePlan = "package.plan" (package::PlanParams) -> package::PlanResult,
        Access::write(Role::Admin);
    /// Starts an app; what is missing is made anew.
    PackageStart = "package.start" (package::AppParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Stops an app; it stays stopped.
    PackageStop = "package.stop" (package::AppParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Stops and starts an app with environment and files resolved afresh.
    PackageRestart = "package.restart" (package::AppParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Cancels an installation, update or migration at work: the app goes back to what it was.
    PackageCancel = "package.cancel" (package::CancelParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Uninstalls an app; its data stays unless `purge` is true.
    PackageUninstall = "package.uninstall" (package::UninstallParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Gives the last log lines of an app.
    PackageLogs = "package.logs" (logs::LogsParams) -> logs::LogsResult,
        Access::read(Role::Admin);
    /// Lists the copies of an app's data from before its updates, and what one can go back to.
    PackageSnapshots = "package.snapshots" (package::AppParams) -> package::SnapshotsResult,
        Access::read(Role::Viewer);
    /// Gives the journal of operations, newest first.
    PackageHistory = "package.history" (package::HistoryParams) -> package::HistoryResult,
        Access::read(Role::Viewer);
    /// Tells why an app is as it is: cause, last health checks, what it waits for, what comes next.
    PackageExplain = "package.explain" (package::AppParams) -> explain::ExplainResult,
        Access::read(Role::Admin);
    /// Gives an app's settings; secrets are never shown.
    PackageConfigGet = "package.config.get" (package::AppParams) -> package::ConfigResult,
        Access::read(Role::Admin);
    /// Changes settings and restarts the app if needed.
    PackageConfigSet = "package.config.set" (package::SetConfigParams) -> package::AcceptedResult,
        Access::write(Role::Admin);
    /// Gives an app's processor, memory, disk and network use over time.
    PackageMetrics = "package.metrics" (metrics::MetricsParams) -> metrics::MetricsResult,
        Access::read(Role::Viewer);
    /// Runs a command in an app's container.
    PackageExec = "package.exec" (package::ExecParams) -> package::ExecResult,
        Access::write(Role::Admin);

    /// Lists installed apps of which a newer version is offered.
    PackageOutdated = "package.outdated" (NoParams) -> registry::OutdatedResult,
        Access::read(Role::Viewer);

    /// Lists the registries that the owner trusts, in the order in which they win, and the update policy.
    RegistryList = "registry.list" (NoParams) -> registry::RegistryList, Access::read(Role::Viewer);
    /// Says whose keys the registry at an address has, without trusting it: to be compared before it is added.
    RegistryInspect = "registry.inspect" (registry::InspectRegistryParams) -> registry::RegistryTrust,
        Access::write(Role::Admin).rate(20, 300);
    /// Adds a registry with the fingerprint that the owner compared, and fetches its catalog.
    RegistryAdd = "registry.add" (registry::AddRegistryParams) -> registry::RegistryRecord,
        Access::write(Role::Admin).rate(20, 300);
    /// Changes a registry's order or pins, or consents to its stale catalog.
    RegistrySet = "registry.set" (registry::SetRegistryParams) -> registry::RegistryRecord,
        Access::write(Role::Admin);
    /// Removes a registry; what is installed from it stays.
    RegistryRemove = "registry.remove" (registry::RegistryParams) -> (), Access::write(Role::Admin);
    /// Asks registries for news now; what is wrong with one stands in its record.
    RegistryRefresh = "registry.refresh" (registry::RefreshRegistryParams) -> registry::RegistryList,
        Access::write(Role::Admin).rate(30, 300);
    /// Sets how often registries are asked, and which apps update by themselves and when.
    RegistrySetPolicy = "registry.set-policy" (registry::SetPolicyParams) -> registry::UpdatePolicy,
        Access::write(Role::Admin);

    /// Lists the containers of all apps.
    ContainerList = "container-list" (NoParams) -> Vec<container::ContainerEntry>,
        Access::read(Role::Viewer);

    /// Gives facts about the host.
    SystemInfo = "system.info" (NoParams) -> system::SystemInfo, Access::read(Role::Viewer);
    /// Gives the host's name; clients probe their session with it.
    SystemGetHostname = "system.get-hostname" (NoParams) -> system::HostnameResult,
        Access::read(Role::AppUser);
    /// Gives processor, memory and disk use.
    SystemStats = "system.stats" (NoParams) -> system::SystemStats, Access::read(Role::Viewer);
    /// Gives the node's processor, memory, disks, network and temperatures over time.
    SystemMetrics = "system.metrics" (metrics::NodeMetricsParams) -> metrics::MetricsResult,
        Access::read(Role::Viewer);
    /// Checks host, Podman, systemd, store, certificates, space, clock and units; each with a mend.
    SystemDoctor = "system.doctor" (NoParams) -> doctor::DoctorReport, Access::read(Role::Admin);
    /// Applies mends that lose nothing; says what was done.
    SystemMend = "system.mend" (doctor::MendParams) -> doctor::MendResult,
        Access::write(Role::Admin);
    /// Gives the last lines of the daemon's own log, secrets struck out.
    SystemLogs = "system.logs" (logs::NodeLogsParams) -> logs::NodeLogsResult,
        Access::read(Role::Admin);
    /// Gives the files of a support bundle, secrets struck out.
    SystemSupport = "system.support" (doctor::SupportParams) -> doctor::SupportResult,
        Access::write(Role::Admin);

    /// Gives the node's certificates: the authority's fingerprint, and what the others cover.
    SystemNodeCa = "system.node-ca" (NoParams) -> door::NodeCa, Access::read(Role::AppUser);
    /// Issues the node's certificate anew; the authority stays.
    SystemNodeCaGenerate = "system.node-ca.generate" (NoParams) -> door::NodeCa,
        Access::write(Role::Admin).rate(5, 300);

    /// Lists what needs attention and what did, newest first.
    NotifyList = "notify.list" (NoParams) -> notify::AttentionList, Access::read(Role::Viewer);
    /// Notes that entries of the list were read, or are to be read again.
    NotifyMark = "notify.mark" (notify::MarkParams) -> notify::AttentionList,
        Access::write(Role::Admin);
    /// Gives where the owner is told of what; secrets are not in it.
    NotifyGet = "notify.settings" (NoParams) -> notify::NotifySettings, Access::read(Role::Admin);
    /// Changes where the owner is told of what.
    NotifySet = "notify.set" (notify::NotifySetParams) -> notify::NotifySettings,
        Access::write(Role::Admin).rate(30, 300);
    /// Sends a test and waits for what becomes of it.
    NotifyTest = "notify.test" (notify::NotifyTestParams) -> (),
        Access::write(Role::Admin).rate(10, 300);
    /// Adds a browser that gets messages, or takes its new keys.
    NotifyPushAdd = "notify.push.add" (notify::PushAddParams) -> notify::NotifySettings,
        Access::write(Role::Admin).rate(10, 300);
    /// Takes a browser away.
    NotifyPushRemove = "notify.push.remove" (notify::PushRemoveParams) -> notify::NotifySettings,
        Access::write(Role::Admin);

    /// Says where the app gate stands, and which ports are reached past it.
    GateStatus = "gate.status" (NoParams) -> gate::GateStatus, Access::read(Role::Viewer);
    /// Makes an exception from what an app's manifest says of a port, or takes it back.
    GateSetAccess = "gate.set-access" (gate::SetAccessParams) -> gate::GateStatus,
        Access::write(Role::Admin).rate(30, 300);

    /// Lists the identities, the node's own first.
    IdentityList = "identity.list" (NoParams) -> identity::IdentityList, Access::read(Role::Viewer);
    /// Gives one identity.
    IdentityGet = "identity.get" (identity::IdentityParams) -> identity::IdentityRecord,
        Access::read(Role::Viewer);
    /// Makes an identity whose keys derive from the recovery seed; the first becomes the default.
    IdentityCreate = "identity.create" (identity::CreateIdentityParams) -> identity::IdentityRecord,
        Access::write(Role::Admin).rate(10, 300);
    /// Takes a Nostr key that was made elsewhere.
    IdentityImport = "identity.import" (identity::ImportIdentityParams) -> identity::IdentityRecord,
        Access::write(Role::Admin).rate(10, 300);
    /// Renames an identity or changes what it is for.
    IdentityUpdate = "identity.update" (identity::UpdateIdentityParams) -> identity::IdentityRecord,
        Access::write(Role::Admin);
    /// Makes an identity the one that is taken where none is named.
    IdentitySetDefault = "identity.set-default" (identity::IdentityParams) -> identity::IdentityRecord,
        Access::write(Role::Admin);
    /// Deletes an identity; apps that were handed its key keep it until their next start.
    IdentityDelete = "identity.delete" (identity::IdentityParams) -> identity::OkResult,
        Access::write(Role::Admin);
    /// Stores an identity's profile and publishes it on the relays of the list.
    IdentityPublishProfile = "identity.publish-profile" (identity::PublishProfileParams) -> identity::PublishedProfile,
        Access::write(Role::Admin).rate(10, 300);
    /// Gives an identity's secret keys after the password was given again.
    IdentityExportKeys = "identity.export-keys" (identity::ExportKeysParams) -> identity::ExportedKeys,
        Access::write(Role::Admin).rate(5, 300);
    /// Gives an identity a Nostr key when it has none.
    IdentityCreateNostrKey = "identity.create-nostr-key" (identity::IdentityParams) -> identity::IdentityRecord,
        Access::write(Role::Admin).rate(10, 300);
    /// Lists the apps that are handed the identities' keys, and which of them need a restart.
    IdentityAffectedApps = "identity.affected-apps" (NoParams) -> identity::AffectedApps,
        Access::read(Role::Viewer);
    /// Signs a text with an identity's did key.
    IdentitySign = "identity.sign" (identity::DidSignParams) -> identity::DidSignature,
        Access::write(Role::Admin);
    /// Checks a signature of a did key.
    IdentityVerify = "identity.verify" (identity::DidVerifyParams) -> identity::DidVerified,
        Access::read(Role::Viewer);
    /// Signs a Nostr event; a linked signer is asked where the key is not here.
    IdentityNostrSign = "identity.nostr-sign" (identity::NostrSignParams) -> identity::NostrSigned,
        Access::write(Role::Admin);
    /// Encrypts with NIP-04.
    IdentityNostrEncryptNip04 = "identity.nostr-encrypt-nip04" (identity::NostrEncryptParams) -> identity::Encrypted,
        Access::write(Role::Admin);
    /// Decrypts with NIP-04.
    IdentityNostrDecryptNip04 = "identity.nostr-decrypt-nip04" (identity::NostrDecryptParams) -> identity::Decrypted,
        Access::write(Role::Admin);
    /// Encrypts with NIP-44.
    IdentityNostrEncryptNip44 = "identity.nostr-encrypt-nip44" (identity::NostrEncryptParams) -> identity::Encrypted,
        Access::write(Role::Admin);
    /// Decrypts with NIP-44.
    IdentityNostrDecryptNip44 = "identity.nostr-decrypt-nip44" (identity::NostrDecryptParams) -> identity::Decrypted,
        Access::write(Role::Admin);
    /// Adds an identity whose key a signer holds, by the signer's `bunker://` link.
    IdentityLinkNip46 = "identity.link-nip46" (identity::LinkNip46Params) -> identity::IdentityRecord,
        Access::write(Role::Admin).rate(10, 300);
    /// Gives a `nostrconnect://` link that a signer can scan; the pairing stays open for five minutes.
    IdentityLinkStart = "identity.link-nostrconnect-start" (identity::LinkStartParams) -> identity::LinkStarted,
        Access::write(Role::Admin).rate(10, 300);
    /// Says whether a signer came to a pairing.
    IdentityLinkFinish = "identity.link-nostrconnect-finish" (identity::PairingParams) -> identity::LinkProgress,
        Access::write(Role::Admin).rate(150, 300);
    /// An app's page asks for something: whether it may, or which prompt decides.
    IdentityConsentAsk = "identity.consent-ask" (identity::ConsentAskParams) -> identity::ConsentAsked,
        Access::write(Role::Admin);
    /// Waits at most 20 seconds for a prompt to be answered.
    IdentityConsentWait = "identity.consent-wait" (identity::PromptParams) -> identity::ConsentWaited,
        Access::write(Role::Admin);
    /// Answers a prompt.
    IdentityConsentAnswer = "identity.consent-answer" (identity::ConsentAnswerParams) -> identity::OkResult,
        Access::write(Role::Admin);
    /// Lists what apps' pages may do, and what waits for an answer.
    IdentityConsentList = "identity.consent-list" (NoParams) -> identity::ConsentList,
        Access::read(Role::Admin);
    /// Takes decisions about an app's page back.
    IdentityConsentRevoke = "identity.consent-revoke" (identity::ConsentRevokeParams) -> identity::ConsentRevoked,
        Access::write(Role::Admin);

    /// Gives the node's discovery key.
    NodeNostrPubkey = "node.nostr-pubkey" (NoParams) -> identity::NodePubkey,
        Access::read(Role::Viewer);
    /// Signs an event with the node's discovery key.
    NodeNostrSign = "node.nostr-sign" (identity::NodeSignParams) -> identity::SignedEvent,
        Access::write(Role::Admin);
    /// Lists the relays that the owner chose.
    NostrListRelays = "nostr.list-relays" (NoParams) -> identity::RelayRecords,
        Access::read(Role::Viewer);
    /// Adds a relay to the list, or switches it on or off.
    NostrSetRelay = "nostr.set-relay" (identity::SetRelayParams) -> identity::OkResult,
        Access::write(Role::Admin);
    /// Takes a relay out of the list.
    NostrRemoveRelay = "nostr.remove-relay" (identity::RelayParams) -> identity::OkResult,
        Access::write(Role::Admin);

    /// Gives the node's own state in short.
    NodeStatus = "node.status" (NoParams) -> node::NodeStatus, Access::read(Role::Viewer);
}
