//! The node's authority, its certificates and what they are issued for.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// 2026-11-24.
const NOW: Timestamp = Timestamp(1_795_500_000_000);

fn covers(pair: &CertifiedKey, name: &str) -> bool {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let leaf = ParsedCertificate::try_from(pair.end_entity_cert().unwrap()).unwrap();
    verify_server_name(&leaf, &name).is_ok()
}

/// True when a client that trusts the authority alone takes the certificate.
fn trusted(ssl_dir: &Path, pair: &CertifiedKey, name: &str, at: Timestamp) -> bool {
    use rustls::client::danger::ServerCertVerifier as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority::first(&ssl_dir.join("ca.crt")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
    let seconds = std::time::Duration::from_secs(u64::try_from(at.0 / 1000).unwrap());
    let at = rustls_pki_types::UnixTime::since_unix_epoch(seconds);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let leaf = pair.end_entity_cert().unwrap();
    verifier.verify_server_cert(leaf, &[], &name, &[], at).is_ok()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A pair of its own, with these names, from one year to another.
fn foreign(crt: &Path, key: &Path, names: &[&str], years: (i32, i32)) {
    let pair = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    std::fs::write(crt, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(key, pair.serialize_pem()).unwrap();
}

#[test]
fn one_authority_through_renames_new_addresses_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let names = own_names("mynode", &["10.1.2.3".parse().unwrap()]);
    assert!(names.starts_with(&["mynode".into(), "mynode.local".into(), "localhost".into()]));
    let certs = Certs::open(dir.path(), None, &names, NOW).unwrap();
    assert_eq!((mode(&path("ca.key")), mode(&path("archipelago.key"))), (0o600, 0o600));
    let first = certs.node.current().unwrap();
    for name in ["mynode", "mynode.local", "10.1.2.3", "localhost"] {
        assert!(trusted(dir.path(), &first, name, NOW), "{name}");
    }
    let day = 86_400_000;
    assert!(!trusted(dir.path(), &first, "mynode", NOW.plus_millis(398 * day)));
    assert!(!trusted(dir.path(), &first, "other.local", NOW));
    // a second start, and the same names: nothing is issued
    let again = Certs::open(dir.path(), None, &names, NOW).unwrap();
    assert_eq!(again.node.current().unwrap().cert, first.cert);
    assert!(!again.issue(&names[..2], NOW, false).unwrap());
    let (authority, shown) = (std::fs::read(path("ca.crt")).unwrap(), certs.describe());
    assert_eq!(shown.fingerprint.as_ref().unwrap().len(), 95);
    // renamed, and at another address: at once, for whoever trusts the authority
    let renamed = own_names("house", &["10.9.9.9".parse().unwrap()]);
    assert!(certs.issue(&renamed, NOW, false).unwrap());
    let second = certs.node.current().unwrap();
    for name in ["house", "house.local", "10.9.9.9"] {
        assert!(trusted(dir.path(), &second, name, NOW), "{name}");
    }
    assert!(certs.issue(&renamed, NOW, true).unwrap(), "when it is asked for");
    let later = NOW.plus_millis(340 * day);
    assert!(certs.issue(&renamed, later, false).unwrap(), "before it ends");
    assert!(trusted(dir.path(), &certs.node.current().unwrap(), "house", later));
    assert_eq!(std::fs::read(path("ca.crt")).unwrap(), authority);
    let leaf = certs.describe().leaf.unwrap();
    assert!(leaf.own && leaf.names.contains(&"house.local".to_owned()), "{leaf:?}");
    assert!(certs.server_config(&[b"h2"]).is_ok());
}

#[test]
fn a_key_that_does_not_match_is_refused_and_the_good_pair_stays() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::open(dir.path(), None, &["n".into()], NOW).unwrap();
    let first = certs.node.current().unwrap();
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    std::fs::write(dir.path().join("archipelago.key"), other).unwrap();
    certs.refresh(true);
    assert_eq!(certs.node.current().unwrap().cert, first.cert);
}

#[test]
fn what_the_operator_put_there_stays() {
    for (years, stays) in [((2026, 2027), true), ((2020, 2045), false)] {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        foreign(&path("archipelago.crt"), &path("archipelago.key"), &["mine"], years);
        let certs = Certs::open(dir.path(), None, &["node".into()], NOW).unwrap();
        let pair = certs.node.current().unwrap();
        assert_eq!(covers(&pair, "mine"), stays, "{years:?}");
        assert_eq!(covers(&pair, "node"), !stays, "{years:?}");
        assert_eq!(certs.issue(&["new".into()], NOW, true).unwrap(), !stays);
        assert_eq!(certs.describe().leaf.unwrap().own, !stays);
    }
    // a file that is no certificate is not ours either
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("archipelago.crt"), "text").unwrap();
    std::fs::write(dir.path().join("archipelago.key"), "text").unwrap();
    let certs = Certs::open(dir.path(), None, &["node".into()], NOW).unwrap();
    assert!(certs.node.current().is_none());
}

#[test]
fn a_clock_that_is_years_behind_makes_no_certificate_of_then() {
    let dir = tempfile::tempdir().unwrap();
    let certs = Certs::open(dir.path(), None, &["node".into()], Timestamp(5)).unwrap();
    let at = Timestamp(1_767_225_600_000);
    assert!(trusted(dir.path(), &certs.node.current().unwrap(), "node", at));
    assert!(!certs.issue(&["node".into()], Timestamp(9), false).unwrap());
}

#[test]
fn a_public_pair_must_cover_its_name_and_is_tried_again() {
    let (dir, public) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (crt, key) = (public.path().join("c"), public.path().join("k"));
    foreign(&crt, &key, &["node.example.org"], (2026, 2027));
    for (name, used) in [("node.example.org", true), ("other.example.org", false)] {
        let pair = Some((name.to_owned(), crt.clone(), key.clone()));
        let certs = Certs::open(dir.path(), pair, &["n".into()], NOW).unwrap();
        assert_eq!(certs.public.as_ref().unwrap().current().is_some(), used);
        let shown = certs.describe().public.unwrap();
        assert_eq!((shown.in_use, shown.fault.is_none()), (used, used), "{shown:?}");
    }
    // the pair comes through a link, is replaced, breaks on the way, and comes again
    let link = public.path().join("link");
    std::os::unix::fs::symlink(&crt, &link).unwrap();
    let pair = Some(("node.example.org".to_owned(), link, key.clone()));
    let certs = Certs::open(dir.path(), pair, &["n".into()], NOW).unwrap();
    let first = certs.public.as_ref().unwrap().current().unwrap();
    std::fs::write(&crt, "half").unwrap();
    certs.refresh(false);
    let public_pair = certs.public.as_ref().unwrap();
    assert_eq!(public_pair.current().unwrap().cert, first.cert);
    assert!(certs.describe().public.unwrap().fault.is_some());
    foreign(&crt, &key, &["node.example.org"], (2026, 2028));
    certs.refresh(false);
    assert_ne!(public_pair.current().unwrap().cert, first.cert);
    assert!(certs.describe().public.unwrap().fault.is_none());
}

#[test]
fn names_of_hosts() {
    for (hostname, first) in [
        ("node", &["node", "node.local", "localhost"][..]),
        ("node.example.org", &["node", "node.local", "node.example.org", "localhost"]),
        ("localhost", &["localhost.local", "localhost"]),
        ("bad_name", &["localhost"]),
    ] {
        let names = own_names(hostname, &[]);
        assert_eq!(names[..first.len()], *first, "{hostname}");
    }
}
