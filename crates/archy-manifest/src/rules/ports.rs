//! Published ports.

use std::collections::HashMap;
use std::net::IpAddr;

use archy_types::ServiceName;

use super::{Rules, Written};
use crate::check::shorten;
use crate::model::{NetworkMode, Port, PortAuth, Protocol};
use crate::path::Path;
use crate::schema::{self, AuthMode, Transport};

/// Who publishes a host port, and on which address.
type Users = Vec<(Option<IpAddr>, ServiceName)>;

impl<'d> Rules<'_, '_, 'd> {
    pub(super) fn ports(&mut self, written: &Written<'d>, network: &NetworkMode) -> Vec<Port> {
        let mut out = Vec::new();
        for (path, port) in self.written_ports(written) {
            if *network == NetworkMode::None {
                let message = "a container without a network cannot publish a port";
                let mend = "use network `app`, or delete the port";
                self.error("unreachable-port", &path, message, mend);
            }
            if port.container == 0 {
                continue; // reported by the schema's check
            }
            let port = self.port(port, &path);
            self.published.push((written.name.clone(), path, port.clone()));
            out.push(port);
        }
        out
    }

    fn port(&mut self, port: &schema::Port, path: &Path) -> Port {
        let protocol = match port.protocol {
            None | Some(Transport::Tcp) => Protocol::Tcp,
            Some(Transport::Udp) => Protocol::Udp,
        };
        let rationale = port.auth_rationale.clone().filter(|text| !text.trim().is_empty());
        if matches!(port.auth, Some(AuthMode::Open | AuthMode::None)) && rationale.is_none() {
            let message = "the port is open to anyone, and nothing says why";
            let mend = "add `auth_rationale:` with one sentence, or write `auth: gated`";
            self.strict("missing-rationale", &path.key("auth"), message, mend);
        }
        if protocol == Protocol::Udp
            && matches!(port.auth, Some(AuthMode::Gated | AuthMode::Open | AuthMode::Session))
        {
            let message = "the gate fronts TCP only";
            let mend = "write `auth: none` with a rationale, or `auth: local`";
            self.warn("ungated-udp", &path.key("auth"), message, mend);
        }
        Port {
            host: port.host.unwrap_or(port.container),
            container: port.container,
            protocol,
            bind: self.bind(port.bind.as_deref(), &path.key("bind")),
            auth: port.auth.map(auth),
            auth_rationale: rationale,
        }
    }

    fn bind(&mut self, text: Option<&str>, path: &Path) -> Option<IpAddr> {
        let text = text.filter(|text| !text.is_empty())?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!("`{}` is not an IP address", shorten(text));
            self.error("invalid-address", path, message, "write for example 127.0.0.1");
        }
        address
    }

    /// Reports host ports that two entries want.
    pub(super) fn host_ports(&mut self) {
        let mut taken: HashMap<(u16, Protocol), Users> = HashMap::new();
        for (name, path, port) in std::mem::take(&mut self.published) {
            let users = taken.entry((port.host, port.protocol)).or_default();
            if let Some((_, other)) = users.iter().find(|(bind, _)| overlap(*bind, port.bind)) {
                let message = format!("the host port {} is taken by `{other}`", port.host);
                let mend = "choose another host port";
                self.error("port-clash", &path.key("host"), message, mend);
            }
            users.push((port.bind, name));
        }
    }
}

/// True when two binds cannot both be had.
fn overlap(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one == other || one.is_unspecified() || other.is_unspecified(),
        _ => true,
    }
}

fn auth(mode: AuthMode) -> PortAuth {
    match mode {
        AuthMode::Gated => PortAuth::Gated,
        AuthMode::Open => PortAuth::Open,
        AuthMode::None => PortAuth::None,
        AuthMode::Local => PortAuth::Local,
        AuthMode::Session => PortAuth::Session,
    }
}
