//! `archy status`.

use archy_api::NoParams;
use archy_api::method::{NodeStatus, ServerGetState};
use archy_api::state::{AdoptedState, PackageData, PortState, Protocol, ServiceState};
use archy_types::Actor;
use serde_json::json;

use super::list::{health_words, state_words};
use super::{install::address, plan};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Paint, Style, Table};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app [default: the node]
    app: Option<String>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let Some(app) = &args.app else { return node(context).await };
    let state = context.client.call::<ServerGetState>(NoParams {}).await?;
    let package =
        state.data.package_data.get(app).ok_or_else(|| CommandError::app_not_found(app))?;
    if let Some(cause) = &state.data.stale_because {
        context.ui.warn(&format!("this is old: {}", cause.text));
    }
    context.ui.result(package, |paint| render(app, package, paint))
}

async fn node(context: &Context) -> Result<(), CommandError> {
    let status = context.client.call::<NodeStatus>(NoParams {}).await?;
    let state = context.client.call::<ServerGetState>(NoParams {}).await?;
    let json = json!({"node": status, "stale_because": state.data.stale_because,
        "notices": state.data.notices});
    context.ui.result(&json, |paint| {
        let apps = &status.apps;
        let mut out = format!(
            "{} ({}), version {}, up {}\n{} installed: {} running, {} stopped, {} failed, {} unhealthy\n",
            paint.paint(Style::Strong, &status.name),
            status.hostname,
            status.version,
            duration(status.uptime_seconds),
            apps.installed,
            apps.running,
            apps.stopped,
            apps.failed,
            apps.unhealthy,
        );
        if !status.is_setup {
            out.push_str("No password is set yet: open the dashboard to set one.\n");
        }
        if let Some(cause) = &state.data.stale_because {
            let old = format!("The host was not seen lately: {}", cause.text);
            out.push_str(&format!("{}\n", paint.paint(Style::Warn, &old)));
        }
        for notice in &state.data.notices {
            out.push_str(&format!("{}\n", paint.paint(Style::Warn, &notice.text)));
            out.extend(notice.mend.iter().map(|mend| format!("  mend: {mend}\n")));
        }
        for (id, package) in &state.data.package_data {
            let (word, style) = state_words(package);
            if style != Style::Good && style != Style::Faint {
                let word = paint.paint(style, &word);
                out.push_str(&format!("  {id}: {word}, {}\n", package.status.cause.text));
            }
        }
        out
    })
}

fn render(app: &str, package: &PackageData, paint: &Paint) -> String {
    let (word, style) = state_words(package);
    let title = format!("{app} {}", package.manifest.version);
    let mut out = format!(
        "{}: {}, {}\n",
        paint.paint(Style::Strong, &title),
        paint.paint(style, &word),
        package.status.cause.text
    );
    let mut line = |name: &str, text: &str| out.push_str(&format!("  {name:<9}{text}\n"));
    let by = match &package.status.actor {
        Actor::User(name) => format!(" by {name}"),
        Actor::System => String::new(),
        Actor::Outside => " from outside".to_owned(),
    };
    line("since", &format!("{}{by}", moment(package.status.since.0)));
    if let Some(adopted) = &package.adopted {
        line("adopted", &adopted_words(adopted));
    }
    if let Some(address) = address(package) {
        line("address", address);
    }
    if let Some(next) = &package.status.next {
        line("next", &next.text);
    }
    if let Some(repair) = &package.status.repair {
        line("repair", &repair.label);
    }
    if let Some(operation) = &package.operation {
        line("at work", &format!("{}: {}", operation.kind, operation.text));
        if let Some(error) = &operation.error {
            line("failed", &format!("{} [{}]", error.message, error.code));
        }
    }
    out.push('\n');
    out.push_str(&services(&package.services, paint));
    if !package.ports.is_empty() {
        out.push('\n');
        out.push_str(&ports(&package.ports, paint));
    }
    for note in &package.notes {
        out.push_str(&plan::finding(note, paint));
    }
    out
}

/// Where it comes from and how far it is.
fn adopted_words(adopted: &AdoptedState) -> String {
    let stage = match adopted.stage.as_str() {
        "watched" if adopted.dies_with_daemon => "not migrated, stops with the daemon",
        "watched" => "not migrated",
        "migrated" => "migrated, the old containers are kept",
        _ => "migrated for good",
    };
    format!("from {} at {}, {stage}", adopted.origin, moment(adopted.since))
}

fn services(services: &[ServiceState], paint: &Paint) -> String {
    let mut table = Table::new(&["SERVICE", "UNIT", "HEALTH", "RESTARTS", "IMAGE"]);
    for service in services {
        let style = match service.unit_state.as_str() {
            "active" => Style::Good,
            "failed" => Style::Bad,
            _ => Style::Warn,
        };
        table.row(vec![
            (service.name.clone(), None),
            (service.unit_state.clone(), Some(style)),
            health_words(Some(service.health)),
            (service.restarts.to_string(), None),
            (service.image.clone(), None),
        ]);
    }
    let mut out = table.render(paint);
    for service in services {
        if let Some(output) = service.health_output.as_deref().filter(|text| !text.is_empty()) {
            out.push_str(&format!("{}: {}\n", service.name, output.trim()));
        }
    }
    out
}

fn ports(ports: &[PortState], paint: &Paint) -> String {
    let mut table = Table::new(&["PORT", "SERVICE", "INSIDE", "ACCESS"]);
    for port in ports {
        let protocol = match port.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let access = port.auth.as_deref().unwrap_or("-");
        let access = match port.loopback_only {
            true => format!("{access}, loopback only"),
            false => access.to_owned(),
        };
        table.row(vec![
            (format!("{}/{protocol}", port.host), None),
            (port.service.clone(), None),
            (port.container.to_string(), None),
            (access, None),
        ]);
    }
    table.render(paint)
}

/// A point in time in the local zone.
pub(crate) fn moment(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => at
            .to_zoned_datetime(jiff::tz::TimeZone::system())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// Seconds as days, hours, minutes: the two largest that are not nought.
pub(crate) fn duration(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let words: Vec<_> = parts
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if words.is_empty() { "0 s".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_725, "1 h 2 min"), (90_061, "1 d 1 h")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
