//! `archy source`: the registries that apps come from.

use archy_api::NoParams;
use archy_api::method::{
    RegistryAdd, RegistryInspect, RegistryList, RegistryRefresh, RegistryRemove, RegistrySet,
    RegistrySetPolicy,
};
use archy_api::registry::{
    AddRegistryParams, InspectRegistryParams, RefreshRegistryParams, RegistryParams,
    RegistryRecord, RegistryTrust, SetPolicyParams, SetRegistryParams,
};
use clap::Subcommand;
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style, Table};

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List registries in the order in which they win
    List,
    /// Show whose keys a registry has
    Show(Name),
    /// Add a registry after its fingerprint was compared
    Add(Add),
    /// Change a registry's order, or which apps are taken from it in any case
    Set(Set),
    /// Consent to installs from a stale catalog as it is
    AcceptStale(Name),
    /// Remove a registry; what is installed from it stays
    Remove(Name),
    /// Ask registries for news now
    Refresh(Refresh),
    /// Say how often registries are asked, and which apps update by themselves and when
    Policy(Policy),
}

/// A registry's name.
#[derive(Debug, clap::Args)]
pub(crate) struct Name {
    /// Its name on this node
    name: String,
}

/// Arguments of `add`.
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Its name on this node
    name: String,
    /// Its address
    url: String,
    /// The fingerprint that the publisher tells; without it the one found is shown and confirmed
    #[arg(long, value_name = "sha256:…")]
    fingerprint: Option<String>,
    /// Its place among the others; one with a smaller number wins
    #[arg(long, value_name = "N")]
    order: Option<u32>,
}

/// Arguments of `set`.
#[derive(Debug, clap::Args)]
pub(crate) struct Set {
    /// Its name on this node
    name: String,
    /// Its place among the others; one with a smaller number wins
    #[arg(long, value_name = "N")]
    order: Option<u32>,
    /// An app that is taken from it in any case; replaces those before
    #[arg(long = "pin", value_name = "APP")]
    pins: Vec<String>,
    /// Pin no app
    #[arg(long, conflicts_with = "pins")]
    no_pins: bool,
}

/// Arguments of `refresh`.
#[derive(Debug, clap::Args)]
pub(crate) struct Refresh {
    /// Only this one
    name: Option<String>,
}

/// Arguments of `policy`.
#[derive(Debug, clap::Args)]
pub(crate) struct Policy {
    /// Minutes between two looks, 15 to 10080; nought: only by hand
    #[arg(long, value_name = "MINUTES")]
    refresh: Option<u32>,
    /// Whether apps update by themselves
    #[arg(long, value_name = "on|off", value_parser = switch)]
    auto: Option<bool>,
    /// Only for this app; without --auto as for all others
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// Hours between which apps update by themselves, like 2-5
    #[arg(long, value_name = "FROM-TO", value_parser = window)]
    window: Option<(u8, u8)>,
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".to_owned()),
    }
}

fn window(text: &str) -> Result<(u8, u8), String> {
    let hour = |text: &str| text.parse::<u8>().ok().filter(|hour| *hour < 24);
    let hours = text.split_once('-').and_then(|(from, to)| Some((hour(from)?, hour(to)?)));
    hours.ok_or_else(|| "two hours from 0 to 23, like 2-5".to_owned())
}

/// Runs it.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<(), CommandError> {
    match command {
        Command::List => {
            let list = context.client.call::<RegistryList>(NoParams {}).await?;
            context.ui.result(&list, |paint| table(&list.registries, paint))
        }
        Command::Show(args) => show(context, &args.name).await,
        Command::Add(args) => add(context, args).await,
        Command::Set(args) => {
            let pins = (args.no_pins || !args.pins.is_empty()).then(|| args.pins.clone());
            let params = SetRegistryParams {
                name: args.name.clone(),
                order: args.order,
                pins,
                accept_stale: None,
            };
            one(context, params).await
        }
        Command::AcceptStale(args) => {
            let name = args.name.clone();
            let params = SetRegistryParams {
                name,
                accept_stale: Some(true),
                ..SetRegistryParams::default()
            };
            one(context, params).await
        }
        Command::Remove(args) => {
            let params = RegistryParams { name: args.name.clone() };
            context.client.call::<RegistryRemove>(params).await?;
            let gone = format!("{} is removed; what is installed from it stays.", args.name);
            context.ui.result(&json!({"removed": args.name}), |_| gone)
        }
        Command::Refresh(args) => refresh(context, args).await,
        Command::Policy(args) => policy(context, args).await,
    }
}

async fn one(context: &Context, params: SetRegistryParams) -> Result<(), CommandError> {
    let record = context.client.call::<RegistrySet>(params).await?;
    context.ui.result(&record, |paint| table(std::slice::from_ref(&record), paint))
}

async fn show(context: &Context, name: &str) -> Result<(), CommandError> {
    let list = context.client.call::<RegistryList>(NoParams {}).await?;
    let found = list.registries.iter().find(|record| record.name == name);
    let record = found.ok_or_else(|| {
        let text = format!("There is no registry {name} here.");
        CommandError::new(Kind::NotFound, "registry-not-found", text)
            .hint("`archy source list` shows them.")
    })?;
    context.ui.result(record, |_| {
        let mut out = format!("{} at {}: {} apps\n", record.name, record.url, record.apps);
        if let Some(trust) = &record.trust {
            out.push_str(&keys(trust));
        }
        for problem in record.error.iter().chain(&record.stale) {
            out.push_str(&format!("{} [{}]\n", problem.message, problem.code));
        }
        for finding in &record.findings {
            out.push_str(&format!("left out: {finding}\n"));
        }
        out
    })
}

fn keys(trust: &RegistryTrust) -> String {
    let mut out =
        format!("Fingerprint (root version {}):\n  {}\n", trust.root_version, trust.fingerprint);
    for role in &trust.roles {
        out.push_str(&format!("{}: {} of {} keys", role.name, role.threshold, role.keys.len()));
        if !role.paths.is_empty() {
            out.push_str(&format!(", for {}", role.paths.join(", ")));
        }
        out.push('\n');
    }
    out
}

async fn add(context: &Context, args: &Add) -> Result<(), CommandError> {
    let fingerprint = match &args.fingerprint {
        Some(fingerprint) => fingerprint.clone(),
        None => {
            let params = InspectRegistryParams { url: args.url.clone() };
            let trust = context.client.call::<RegistryInspect>(params).await?;
            let stakes = format!(
                "{}Compare the fingerprint with the publisher's, from another place than this server.",
                keys(&trust)
            );
            if !context.ui.confirm(&stakes, "Is it the same?", "--fingerprint")? {
                let text = format!("{} was not added.", args.name);
                return Err(CommandError::new(Kind::Failed, "not-confirmed", text));
            }
            trust.fingerprint
        }
    };
    let params = AddRegistryParams {
        name: args.name.clone(),
        url: args.url.clone(),
        fingerprint,
        order: args.order,
    };
    let record = context.client.call::<RegistryAdd>(params).await?;
    context.ui.result(&record, |_| format!("{} offers {} apps.", record.name, record.apps))
}

async fn refresh(context: &Context, args: &Refresh) -> Result<(), CommandError> {
    let params = RefreshRegistryParams { name: args.name.clone() };
    let mut list = context.client.call::<RegistryRefresh>(params).await?;
    if let Some(name) = &args.name {
        list.registries.retain(|record| record.name == *name);
    }
    let failed = list.registries.iter().find_map(|record| Some((record, record.error.as_ref()?)));
    context.ui.result(&list.registries, |paint| table(&list.registries, paint))?;
    let Some((record, error)) = failed else { return Ok(()) };
    let mut out = CommandError::new(
        Kind::Failed,
        error.code.as_str(),
        format!("{}: {}", record.name, error.message),
    );
    out.hints.extend(error.hint.clone());
    Err(out)
}

async fn policy(context: &Context, args: &Policy) -> Result<(), CommandError> {
    let params = SetPolicyParams {
        refresh_minutes: args.refresh,
        auto: args.auto,
        from_hour: args.window.map(|window| window.0),
        to_hour: args.window.map(|window| window.1),
        app: args.app.clone(),
    };
    let policy = if params == SetPolicyParams::default() {
        context.client.call::<RegistryList>(NoParams {}).await?.policy
    } else {
        context.client.call::<RegistrySetPolicy>(params).await?
    };
    context.ui.result(&policy, |_| {
        let word = |auto: bool| if auto { "by themselves" } else { "by hand" };
        let mut out = match policy.refresh_minutes {
            0 => "Registries are asked by hand.\n".to_owned(),
            minutes => format!("Registries are asked every {minutes} minutes.\n"),
        };
        let (from, to) = (policy.from_hour, policy.to_hour);
        out.push_str(&format!("Apps update {}, from {from} to {to} o'clock.\n", word(policy.auto)));
        for (app, auto) in &policy.apps {
            out.push_str(&format!("{app}: {}\n", word(*auto)));
        }
        out
    })
}

fn table(records: &[RegistryRecord], paint: &Paint) -> String {
    if records.is_empty() {
        return "No registry; apps come from the package and from your own manifests.".to_owned();
    }
    let mut table = Table::new(&["ORDER", "NAME", "APPS", "GOOD UNTIL", "STATE", "ADDRESS"]);
    for record in records {
        let (state, style) = match (&record.stale, &record.error) {
            (Some(_), _) if record.stale_accepted => ("stale, accepted".to_owned(), Style::Warn),
            (Some(_), _) => ("stale".to_owned(), Style::Bad),
            (None, Some(error)) => (error.code.to_string(), Style::Warn),
            (None, None) => ("good".to_owned(), Style::Good),
        };
        let until = record.good_until.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        table.row(vec![
            (record.order.to_string(), None),
            (record.name.clone(), None),
            (record.apps.to_string(), None),
            (until.map_or("-".to_owned(), |it| it.strftime("%Y-%m-%d").to_string()), None),
            (state, Some(style)),
            (record.url.clone(), None),
        ]);
    }
    table.render(paint)
}
