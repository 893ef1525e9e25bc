//! Published ports: short and long form, ranges, addresses.

use archy_manifest::schema::{AuthMode, Port, Transport};

use crate::draft::Draft;
use crate::value::Value;

/// Most ports of one range.
const MAX_RANGE: u16 = 200;

/// Reads the ports of a service.
pub(super) fn ports(draft: &mut Draft<'_>, value: &Value, place: &str) -> Vec<Port> {
    let mut out: Vec<Port> = Vec::new();
    for (index, item) in value.items().iter().enumerate() {
        let place = format!("{place}[{index}]");
        let found = match item {
            Value::Scalar { text, .. } => {
                let Some(text) = published(draft, text, &place) else { continue };
                short(&text)
            }
            Value::Map(_) => long(draft, item, &place),
            _ => None,
        };
        let Some(found) = found else {
            draft.find("unreadable", &place, format!("is no port: {}", item.brief()));
            continue;
        };
        for written in found {
            if written.chosen {
                let message =
                    format!("the source leaves the host port of {} open", written.container);
                draft.find("changed-port", &place, message);
            }
            let port = port(&written);
            if !out.contains(&port) {
                out.push(port);
            }
        }
    }
    out
}

/// A port whose variables are filled in; a host port that cannot be is left open.
fn published(draft: &mut Draft<'_>, text: &str, place: &str) -> Option<String> {
    let expr = draft.expr(text, place);
    if expr.as_text().is_some() {
        return draft.plain_expr(&expr, place);
    }
    if let [open, crate::expr::Atom::Text(rest)] = expr.atoms()
        && let Some(container) = rest.strip_prefix(':')
        && matches!(open, crate::expr::Atom::Setting { .. })
    {
        return Some(container.to_owned());
    }
    draft.plain_expr(&expr, place)
}

/// A port as written.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    bind: Option<String>,
    host: u16,
    container: u16,
    udp: bool,
    /// The source names no host port.
    chosen: bool,
}

fn port(written: &Written) -> Port {
    let loopback = written
        .bind
        .as_deref()
        .and_then(|bind| bind.parse::<std::net::IpAddr>().ok())
        .is_some_and(|address| address.is_loopback());
    Port {
        host: Some(written.host),
        container: written.container,
        protocol: written.udp.then_some(Transport::Udp),
        bind: written.bind.clone().filter(|_| loopback),
        auth: loopback.then_some(AuthMode::Local),
        auth_rationale: None,
    }
}

/// `[address:][host:]container[/protocol]`.
fn short(text: &str) -> Option<Vec<Written>> {
    let text = text.trim();
    let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = match text.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, text),
    };
    let (bind, host) = match rest {
        None => (None, None),
        Some(rest) => match rest.rsplit_once(':') {
            Some((bind, host)) => (Some(bind.trim_matches(['[', ']'])), Some(host)),
            None if rest.parse::<std::net::IpAddr>().is_ok() => (Some(rest), None),
            None => (None, Some(rest)),
        },
    };
    pairs(bind, host.filter(|host| !host.is_empty()), container, protocol)
}

fn long(draft: &mut Draft<'_>, value: &Value, place: &str) -> Option<Vec<Written>> {
    let mut plain = |key: &str| {
        let text = value.get(key).and_then(Value::as_text)?.to_owned();
        draft.plain(&text, place)
    };
    let container = plain("target")?;
    let host = plain("published").filter(|host| !host.is_empty());
    let bind = plain("host_ip");
    let protocol = plain("protocol").unwrap_or_else(|| "tcp".to_owned());
    pairs(bind.as_deref(), host.as_deref(), &container, &protocol)
}

fn pairs(
    bind: Option<&str>,
    host: Option<&str>,
    container: &str,
    protocol: &str,
) -> Option<Vec<Written>> {
    let udp = match protocol.to_ascii_lowercase().as_str() {
        "tcp" | "" => false,
        "udp" => true,
        _ => return None,
    };
    let (first, last) = range(container)?;
    let (from, to) = match host {
        Some(host) => range(host)?,
        None => (first, last),
    };
    let count = last.checked_sub(first)?;
    if count > MAX_RANGE || to.checked_sub(from)? < count {
        return None;
    }
    let one = |offset: u16| {
        Some(Written {
            bind: bind.map(str::to_owned),
            host: from.checked_add(offset)?,
            container: first.checked_add(offset)?,
            udp,
            chosen: host.is_none(),
        })
    };
    (0..=count).map(one).collect()
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        Some((first, last)) => Some((number(first)?, number(last)?)),
        None => number(text).map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms() {
        let shown = |text: &str| {
            short(text).map(|all| {
                let one = |w: &Written| {
                    let bind = w.bind.as_deref().unwrap_or("*");
                    format!("{bind} {}:{}{}", w.host, w.container, if w.udp { "u" } else { "" })
                };
                all.iter().map(one).collect::<Vec<_>>().join(" ")
            })
        };
        for (text, expected) in [
            ("80", Some("* 80:80")),
            ("8080:80", Some("* 8080:80")),
            ("53:53/udp", Some("* 53:53u")),
            ("127.0.0.1:8080:80", Some("127.0.0.1 8080:80")),
            ("[::1]:8080:80", Some("::1 8080:80")),
            ("127.0.0.1::80", Some("127.0.0.1 80:80")),
            ("9000-9002:8000-8002", Some("* 9000:8000 * 9001:8001 * 9002:8002")),
            ("8000-9000:80", Some("* 8000:80")),
            ("1-60000", None),
            ("x:80", None),
            ("80/sctp", None),
            ("0:80", None),
            ("99999:80", None),
        ] {
            assert_eq!(shown(text).as_deref(), expected, "{text}");
        }
    }
}
