//! The node's own certificate authority: made once and kept; it issues the node's certificate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use archy_api::door::NodeCa;
use archy_types::Timestamp;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, DnValue,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::certs::{CertError, write_new};
use crate::auth::totp::random;

/// A certificate counts for so long: browsers refuse those that count for more than 398 days.
const LIFE: Duration = Duration::from_secs(397 * 86_400);
/// It counts from so long before it was issued: clocks of phones differ.
const BEFORE: Duration = Duration::from_secs(86_400);
/// It is issued anew when it counts for less than this (milliseconds).
const RENEW: i64 = 60 * 86_400_000;
/// No clock that is right shows an earlier moment (2026-01-01).
const EPOCH: Timestamp = Timestamp(1_767_225_600_000);
/// Path of the authority's certificate on the node's web server.
pub const PATH: &str = "/ca.crt";

/// The authority of a node.
#[derive(Debug)]
pub struct Authority {
    crt: PathBuf,
    key: PathBuf,
}

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Subject as it is encoded.
    subject: Vec<u8>,
    /// Issuer as it is encoded.
    issuer: Vec<u8>,
    /// The subject's common name.
    pub common_name: String,
    /// Names and addresses that it covers.
    pub names: Vec<String>,
    /// From when on it counts.
    pub begins: Timestamp,
    /// Until when.
    pub ends: Timestamp,
}

impl Authority {
    /// The authority in `ssl_dir`; it is made when there is none. Blocks.
    ///
    /// # Errors
    /// The directory cannot be written, or a certificate is there without its key.
    pub fn open(ssl_dir: &Path, hostname: &str) -> Result<Self, CertError> {
        let this = Self { crt: ssl_dir.join("ca.crt"), key: ssl_dir.join("ca.key") };
        if this.crt.exists() {
            return Ok(this);
        }
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error: std::io::Error| CertError::File { path, reason: error.to_string() }
        };
        std::fs::create_dir_all(ssl_dir).map_err(io(ssl_dir))?;
        // a key without a certificate is what a cut left: it is used
        let key = if this.key.exists() { read_key(&this.key)? } else { KeyPair::generate()? };
        let mark = hex::encode(&Sha256::digest(key.public_key_raw())[..4]);
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name = DistinguishedName::new();
        let name = format!("Archipelago {hostname} {mark}");
        params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(name));
        params
            .distinguished_name
            .push(DnType::OrganizationName, DnValue::Utf8String("Archipelago node".into()));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(serial()?);
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2045, 12, 31);
        let certificate = params.self_signed(&key)?;
        write_new(&this.key, &key.serialize_pem(), 0o600).map_err(io(&this.key))?;
        write_new(&this.crt, &certificate.pem(), 0o644).map_err(io(&this.crt))?;
        tracing::info!(certificate = %this.crt.display(), "the node's authority was made");
        Ok(this)
    }

    /// The authority's certificate as PEM. Blocks.
    #[must_use]
    pub fn pem(&self) -> Option<String> {
        std::fs::read_to_string(&self.crt).ok()
    }

    /// What its certificate says.
    #[must_use]
    pub fn facts(&self) -> Option<Facts> {
        Facts::of(&first(&self.crt)?)
    }

    /// SHA-256 of its certificate, as people compare it.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        let digest = Sha256::digest(&first(&self.crt)?);
        let bytes: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        Some(bytes.join(":"))
    }

    /// Issues a certificate for these names with this key. Blocks.
    ///
    /// # Errors
    /// The authority's files cannot be read, or a name cannot be in a certificate.
    pub fn issue(
        &self,
        key: &KeyPair,
        names: &[String],
        now: Timestamp,
    ) -> Result<Certificate, CertError> {
        let pem = self.pem().ok_or_else(|| CertError::Pair {
            path: self.crt.clone(),
            reason: "it cannot be read".to_owned(),
        })?;
        let issuer = Issuer::from_ca_cert_pem(&pem, read_key(&self.key)?)?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        let common = names.first().map_or("archipelago", String::as_str);
        params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(common.into()));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        let seconds = u64::try_from(now.max(EPOCH).0 / 1000).unwrap_or_default();
        let moment = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = moment - BEFORE;
        params.not_after = moment + LIFE;
        Ok(params.signed_by(key, &issuer)?)
    }
}

/// The same number on two certificates of one issuer makes browsers refuse both.
fn serial() -> Result<SerialNumber, CertError> {
    let mut bytes = random::<16>().map_err(|error| CertError::NoRandomness(error.message))?;
    // a positive number that does not begin with zeros
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// Reads a key. Blocks.
///
/// # Errors
/// It cannot be read, or is none.
pub(super) fn read_key(path: &Path) -> Result<KeyPair, CertError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CertError::File { path: path.to_owned(), reason: error.to_string() })?;
    Ok(KeyPair::from_pem(&text)?)
}

/// The first certificate of a file.
pub(super) fn first(path: &Path) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_file(path).ok()
}

/// A node that serves no TLS has no certificates.
#[must_use]
pub fn nothing() -> NodeCa {
    NodeCa {
        fingerprint: None,
        subject: None,
        path: PATH.to_owned(),
        expires: None,
        leaf: None,
        public: None,
    }
}

impl Facts {
    /// Reads a certificate.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let moment = |time: &x509_parser::time::ASN1Time| Timestamp(time.timestamp() * 1000);
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|names| names.value.general_names.iter().filter_map(name).collect());
        let common = certificate.subject().iter_common_name().next();
        Some(Self {
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            common_name: common.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned(),
            names: names.unwrap_or_default(),
            begins: moment(&certificate.validity().not_before),
            ends: moment(&certificate.validity().not_after),
        })
    }

    /// True when the authority issued it.
    #[must_use]
    pub fn is_of(&self, authority: &Self) -> bool {
        self.issuer == authority.subject
    }

    /// True for the self-signed certificates that nodes made before they had an authority.
    #[must_use]
    pub fn is_self_made(&self) -> bool {
        // from 2020-01-01 to 2045-01-01, to the second
        let span = (self.begins.0, self.ends.0) == (1_577_836_800_000, 2_366_841_600_000);
        self.issuer == self.subject && span
    }

    /// True when one is to be issued in its place: it lacks a name, or will not count for long.
    #[must_use]
    pub fn is_stale(&self, names: &[String], now: Timestamp) -> bool {
        let now = now.max(EPOCH);
        self.begins > now
            || self.ends.0 - now.0 < RENEW
            || names.iter().any(|name| !self.names.contains(name))
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|b| std::net::IpAddr::from(b).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|b| std::net::IpAddr::from(b).to_string()),
            _ => None,
        },
        _ => None,
    }
}
