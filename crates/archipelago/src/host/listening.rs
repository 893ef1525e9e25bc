//! Ports that something listens on, from `/proc/net` (proc_net(5)).

use std::collections::BTreeSet;
use std::io;

use archy_manifest::model::Protocol;

/// `TCP_LISTEN` in the kernel's `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

/// All ports that are taken on this host.
pub(super) fn ports() -> io::Result<BTreeSet<(u16, Protocol)>> {
    let mut ports = BTreeSet::new();
    for (file, protocol) in [
        ("/proc/net/tcp", Protocol::Tcp),
        ("/proc/net/tcp6", Protocol::Tcp),
        ("/proc/net/udp", Protocol::Udp),
        ("/proc/net/udp6", Protocol::Udp),
    ] {
        match std::fs::read_to_string(file) {
            Ok(text) => ports.extend(parse(&text, protocol).map(|port| (port, protocol))),
            // a kernel without IPv6 has no tcp6
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ports)
}

fn parse(text: &str, protocol: Protocol) -> impl Iterator<Item = u16> {
    text.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        if protocol == Protocol::Tcp && state != LISTEN {
            return None;
        }
        u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1
   1: 0100007F:0050 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 1 1
";

    #[test]
    fn only_listening_tcp_counts_but_all_udp() {
        assert_eq!(parse(TEXT, Protocol::Tcp).collect::<Vec<_>>(), [8080]);
        assert_eq!(parse(TEXT, Protocol::Udp).collect::<Vec<_>>(), [8080, 80]);
    }
}
