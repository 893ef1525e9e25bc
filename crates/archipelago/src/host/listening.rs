//! Ports that something listens on, from `/proc/net` (proc_net(5)).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use archy_manifest::model::Protocol;

/// `TCP_LISTEN` in the kernel's `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

/// All ports that are taken on this host, but for the sockets of `ours`.
pub(super) fn ports(ours: &BTreeSet<SocketAddr>) -> io::Result<BTreeSet<(u16, Protocol)>> {
    let mut ports = BTreeSet::new();
    for (file, protocol) in [
        ("/proc/net/tcp", Protocol::Tcp),
        ("/proc/net/tcp6", Protocol::Tcp),
        ("/proc/net/udp", Protocol::Udp),
        ("/proc/net/udp6", Protocol::Udp),
    ] {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let others = parse(&text, protocol)
                    .filter(|socket| protocol == Protocol::Udp || !ours.contains(socket));
                ports.extend(others.map(|socket| (socket.port(), protocol)));
            }
            // a kernel without IPv6 has no tcp6
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ports)
}

fn parse(text: &str, protocol: Protocol) -> impl Iterator<Item = SocketAddr> {
    text.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        if protocol == Protocol::Tcp && state != LISTEN {
            return None;
        }
        let (address, port) = local.rsplit_once(':')?;
        Some(SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?))
    })
}

/// An address as the kernel writes it: words of 32 bits in the order of the machine.
fn ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    if hex.len() == 8 {
        return Some(IpAddr::from(word(0)?));
    }
    let mut bytes = [0; 16];
    for (index, part) in bytes.chunks_mut(4).enumerate() {
        part.copy_from_slice(&word(index * 8)?);
    }
    Some(IpAddr::from(bytes))
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
        let found = |protocol| parse(TEXT, protocol).map(|at| at.to_string()).collect::<Vec<_>>();
        assert_eq!(found(Protocol::Tcp), ["127.0.0.1:8080"]);
        assert_eq!(found(Protocol::Udp), ["127.0.0.1:8080", "127.0.0.1:80"]);
        let v6 = ip("B80D0120000000000000000001000000");
        assert_eq!(v6, Some("2001:db8::1".parse().unwrap()));
        assert_eq!(ip("00"), None);
    }
}
