//! Self-signed certificates for apps, made once.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rcgen::{KeyUsagePurpose, date_time_ymd};

use super::{FileError, set_mode, write_new};

/// Makes a self-signed server certificate and its key (ECDSA P-256, PEM) unless they are there;
/// says whether it made one. The certificate has mode 0644, the key 0600.
///
/// `sans` are DNS names and IP addresses; the common name is added to them when it looks like one.
/// It is valid until 2049: nothing renews it, and an app must not fail on a date. A key without a
/// certificate (a crash in between) is used; neither is ever replaced. The directories must exist.
///
/// # Errors
/// [`FileError::CertWithoutKey`], [`FileError::Cert`] for names that no certificate can have,
/// [`FileError::Io`].
pub fn ensure_cert(
    crt_path: &Path,
    key_path: &Path,
    common_name: &str,
    sans: &[String],
) -> Result<bool, FileError> {
    let (has_crt, has_key) = (crt_path.exists(), key_path.exists());
    if has_crt && !has_key {
        return Err(FileError::CertWithoutKey {
            crt: crt_path.to_owned(),
            key: key_path.to_owned(),
        });
    }
    if has_key {
        narrow(key_path)?;
    }
    if has_crt {
        return Ok(false);
    }
    let failed = |path: &Path, error: rcgen::Error| FileError::Cert {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let params = params(common_name, sans).map_err(|error| failed(crt_path, error))?;
    if !has_key {
        let pair = KeyPair::generate().map_err(|error| failed(key_path, error))?;
        write_new(key_path, pair.serialize_pem().as_bytes(), 0o600)?;
    }
    let pem = fs::read_to_string(key_path).map_err(FileError::io(key_path))?;
    let pair = KeyPair::from_pem(&pem).map_err(|error| failed(key_path, error))?;
    let cert = params.self_signed(&pair).map_err(|error| failed(crt_path, error))?;
    write_new(crt_path, cert.pem().as_bytes(), 0o644)
}

fn params(common_name: &str, sans: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut names = sans.to_vec();
    let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '*' | ':');
    if !common_name.is_empty()
        && common_name.chars().all(host)
        && !names.iter().any(|name| name == common_name)
    {
        names.push(common_name.to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// A key that was given to an app's own user is not ours to narrow; it is private to that user.
fn narrow(key_path: &Path) -> Result<(), FileError> {
    match set_mode(key_path, 0o600) {
        Err(FileError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Ok(())
        }
        result => result,
    }
}
