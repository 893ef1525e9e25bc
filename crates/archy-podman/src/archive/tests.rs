//! Headers by the letter of POSIX, and names that may not leave.

use super::*;

#[test]
fn header_fields() {
    let mut tar = Tar::new(Timestamp(1_700_000_000_000));
    tar.file("etc/app.conf", 0o640, (1000, 5), b"hello").unwrap();
    let bytes = tar.finish();
    assert_eq!(bytes.len(), 512 * 4);
    assert_eq!(&bytes[..13], b"etc/app.conf\0");
    assert_eq!(&bytes[100..108], b"0000640\0");
    assert_eq!(&bytes[108..116], b"0001750\0");
    assert_eq!(&bytes[124..136], b"00000000005\0");
    assert_eq!(bytes[156], b'0');
    assert_eq!(&bytes[257..265], b"ustar\x0000");
    let text = std::str::from_utf8(&bytes[148..154]).unwrap();
    let sum = u32::from_str_radix(text, 8).unwrap();
    let plain: u32 = bytes[..512].iter().map(|b| u32::from(*b)).sum();
    let field: u32 = bytes[148..156].iter().map(|b| u32::from(*b)).sum();
    assert_eq!(sum, plain - field + 8 * 32);
    assert_eq!(&bytes[512..517], b"hello");
}

#[test]
fn long_names_get_a_record() {
    let name = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    let mut tar = Tar::new(Timestamp(0));
    tar.file(&name, 0o600, (0, 0), b"x").unwrap();
    let bytes = tar.finish();
    assert_eq!(bytes[156], b'x');
    let record = format!("191 path={name}\n");
    assert_eq!(record.len(), 191);
    assert_eq!(&bytes[512..512 + 191], record.as_bytes());
    assert_eq!(bytes[1024 + 156], b'0');
}

#[test]
fn pax_length_counts_itself() {
    for n in 0..300 {
        let record = pax_record("path", &"x".repeat(n));
        let text = String::from_utf8(record.clone()).unwrap();
        let length: usize = text.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(length, record.len());
    }
}

#[test]
fn names_stay_inside() {
    for bad in ["", "/etc/passwd", "../x", "a/../../b", "a\0b"] {
        let got = Tar::new(Timestamp(0)).file(bad, 0o600, (0, 0), b"").map(drop);
        assert_eq!(got, Err(ArchiveError::Name(bad.to_owned())));
    }
    assert!(Tar::new(Timestamp(0)).directory("a/b/", 0o755, (0, 0)).is_ok());
}
