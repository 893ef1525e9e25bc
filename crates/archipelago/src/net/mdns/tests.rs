//! The node's name on the local network, with a responder that plays the network.

use std::net::IpAddr;
use std::sync::Mutex;

use mdns_sd::HostnameResolutionEvent;

use super::*;

#[test]
fn interfaces_that_lead_to_a_network() {
    let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    for (name, flags, leads) in [
        ("enp3s0", up, true),
        ("wlan0", up, true),
        ("eth0", InterfaceFlags::IFF_MULTICAST, false),
        ("lo", up | InterfaceFlags::IFF_LOOPBACK, false),
        ("ppp0", up | InterfaceFlags::IFF_POINTOPOINT, false),
        ("podman1", up, false),
        ("veth1234", up, false),
        ("br-a1b2", up, false),
        ("br0", up, true),
    ] {
        assert_eq!(leads_out(name, flags), leads, "{name}");
    }
}

/// A free port of loopback: nobody else's multicast DNS is met.
fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_found_on_loopback() {
    let port = free_port();
    let wanted = Wanted {
        host: "archipelago-test".into(),
        title: "Our house".into(),
        port: 443,
        interfaces: vec!["lo".into()],
    };
    let responder = Responder::begin(&wanted, port).unwrap();
    let asking = ServiceDaemon::new_with_port(port).unwrap();
    asking.disable_interface(IfKind::All).unwrap();
    asking.enable_interface("lo").unwrap();
    let events = asking.resolve_hostname("archipelago-test.local.", Some(20_000)).unwrap();
    let mut found = Vec::new();
    while let Ok(event) = events.recv_async().await {
        match event {
            HostnameResolutionEvent::AddressesFound(_, addresses) => {
                found.extend(addresses.iter().map(|one| one.to_ip_addr()));
                break;
            }
            HostnameResolutionEvent::SearchTimeout(_) => break,
            _ => {}
        }
    }
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    responder.end();
    drop(asking.shutdown());
}

#[derive(Default, Clone)]
struct Log(Arc<Mutex<Vec<String>>>);

struct FakeServer;
struct FakeGroup(Log);

#[zbus::interface(name = "org.freedesktop.Avahi.Server")]
impl FakeServer {
    fn get_host_name_fqdn(&self) -> String {
        "node-2.local".into()
    }
    fn entry_group_new(&self) -> zbus::ObjectPath<'static> {
        zbus::ObjectPath::try_from("/Client0/EntryGroup1").unwrap()
    }
}

#[zbus::interface(name = "org.freedesktop.Avahi.EntryGroup")]
impl FakeGroup {
    #[expect(clippy::too_many_arguments, reason = "the method is Avahi's")]
    fn add_service(
        &self,
        interface: i32,
        protocol: i32,
        flags: u32,
        name: &str,
        kind: &str,
        domain: &str,
        host: &str,
        port: u16,
        txt: Vec<Vec<u8>>,
    ) {
        let text = format!(
            "{interface} {protocol} {flags} {name} {kind} {domain:?} {host:?} {port} {}",
            txt.len()
        );
        self.0.0.lock().unwrap().push(text);
    }
    fn commit(&self) {
        self.0.0.lock().unwrap().push("commit".into());
    }
    fn get_state(&self) -> i32 {
        2
    }
    fn free(&self) {
        self.0.0.lock().unwrap().push("free".into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn avahi_is_given_the_page() {
    use zbus::connection::Builder;
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let log = Log::default();
    let guid = zbus::Guid::generate();
    let far = Builder::unix_stream(far)
        .server(guid)
        .p2p()
        .serve_at("/", FakeServer)
        .serve_at("/Client0/EntryGroup1", FakeGroup(log.clone()))
        .build();
    let near = Builder::unix_stream(near).p2p().build();
    let (_far, near) = tokio::try_join!(far, near).unwrap();
    let avahi = Avahi::over(near).publish("Our house", SERVICE, 443).await.unwrap();
    assert_eq!(avahi.name(), "node-2.local");
    assert!(avahi.stands().await);
    avahi.end().await;
    let expected = ["-1 -1 0 Our house _https._tcp \"\" \"\" 443 0", "commit", "free"];
    assert_eq!(*log.0.lock().unwrap(), expected);
}
