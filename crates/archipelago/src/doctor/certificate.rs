//! From when until when a certificate counts: just enough of DER (RFC 5280, 4.1) to read that.

use archy_types::Timestamp;

/// First and last moment at which a certificate counts; nothing when the bytes are none.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const SEQUENCE: u8 = 0x30;
    let (tag, certificate, _) = element(der)?;
    let (inner, tbs, _) = element(certificate).filter(|_| tag == SEQUENCE)?;
    let mut rest = Some(tbs).filter(|_| inner == SEQUENCE)?;
    // version (optional), serial, algorithm, issuer, validity
    let (first, _, after) = element(rest)?;
    if first == 0xa0 {
        rest = after;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (tag, times, _) = element(rest)?;
    let (begin_tag, begin, rest) = element(times).filter(|_| tag == SEQUENCE)?;
    let (end_tag, end, _) = element(rest)?;
    Some((time(begin_tag, begin)?, time(end_tag, end)?))
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, length, rest) = match bytes {
        [tag, length @ 0..=0x7f, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x81, length, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x82, high, low, rest @ ..] => {
            (*tag, usize::from(*high) << 8 | usize::from(*low), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// `UTCTime` (two digits of a year) or `GeneralizedTime` (four).
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (number(0)?, number(2)?);
    let (hour, minute, second) = (number(4)?, number(6)?, number(8)?);
    // days since 1970 of a day in the Gregorian calendar, years beginning in March
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(Timestamp((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_real_certificate() {
        for (from, until) in [((2020, 1, 1), (2045, 1, 1)), ((1999, 12, 31), (2051, 2, 28))] {
            let pair = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["node".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            params.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
            let certificate = params.self_signed(&pair).unwrap();
            let (begin, end) = validity(certificate.der()).unwrap();
            let day = |(y, m, d): (i32, u8, u8)| format!("{y:04}-{m:02}-{d:02} 00:00 UTC");
            assert_eq!((begin.to_string(), end.to_string()), (day(from), day(until)));
        }
        for bytes in [&b""[..], b"0", b"\x30\x03\x30\x01", b"text that is no certificate"] {
            assert_eq!(validity(bytes), None);
        }
    }
}
