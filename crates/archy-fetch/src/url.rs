//! Addresses: which ones are fetched, and where a redirect leads (RFC 3986 §5).

use http::Uri;

use crate::error::FetchError;

/// A checked http or https address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    uri: Uri,
    pub(crate) secure: bool,
    /// Host without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Url {
    /// Checks an address.
    pub(crate) fn parse(text: &str) -> Result<Self, FetchError> {
        let bad = |reason: &str| FetchError::Url { url: shown(text), reason: reason.to_owned() };
        // The fragment is never sent.
        let (text, _) = text.split_once('#').unwrap_or((text, ""));
        let uri: Uri =
            text.parse().map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("only http and https are spoken")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it has a user name or password in it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { secure, host, port, uri })
    }

    /// Path and query, as the request line has it.
    pub(crate) fn target(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// As the `Host` header has it.
    pub(crate) fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }

    /// Host and port, for errors.
    pub(crate) fn endpoint(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where a `Location` header leads from here.
    pub(crate) fn join(&self, location: &str) -> Result<Self, FetchError> {
        let location = location.trim();
        let scheme = if self.secure { "https" } else { "http" };
        let here = format!("{scheme}://{}", self.authority());
        let has_scheme = location.split_once(':').is_some_and(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        if has_scheme {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        if location.is_empty() || location.starts_with(['?', '#']) {
            return Self::parse(&format!("{here}{}{location}", self.uri.path()));
        }
        let end = location.find(['?', '#']).unwrap_or(location.len());
        let (path, rest) = location.split_at(end);
        let whole = if path.starts_with('/') {
            path.to_owned()
        } else {
            let base = self.uri.path();
            let directory = base.rfind('/').map_or("/", |slash| &base[..=slash]);
            format!("{directory}{path}")
        };
        Self::parse(&format!("{here}{}{rest}", without_dots(&whole)))
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.uri, f)
    }
}

/// Removes `.` and `..` segments (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let slash = path.ends_with("/.") || path.ends_with("/..");
    let end = if slash && kept.last().is_none_or(|last| !last.is_empty()) { "/" } else { "" };
    let joined = format!("/{}{end}", kept.join("/"));
    if joined == "//" { "/".to_owned() } else { joined }
}

/// An address without what may be a password, cut to a readable length.
fn shown(text: &str) -> String {
    let hidden = match text.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let host = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => text.to_owned(),
    };
    hidden.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, host, port, secure) in [
            ("http://a", "a", 80, false),
            ("https://a.example/x?y#z", "a.example", 443, true),
            ("https://[::1]:8443/", "::1", 8443, true),
            ("HTTP://127.0.0.1:81/", "127.0.0.1", 81, false),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.host.as_str(), url.port, url.secure), (host, port, secure), "{text}");
        }
        for bad in ["", "a", "/x", "ftp://a/", "file:///x", "http://", "http://a b/", "http:///x"] {
            assert_eq!(Url::parse(bad).unwrap_err().code(), "fetch-url", "{bad}");
        }
        let error = Url::parse("https://ann:hunter2@a/").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(Url::parse("https://a/x?y#z").unwrap().target(), "/x?y");
    }

    #[test]
    fn redirects() {
        let base = Url::parse("https://h:8443/a/b/c?q").unwrap();
        for (location, leads_to) in [
            ("/x", "https://h:8443/x"),
            ("x", "https://h:8443/a/b/x"),
            ("../x?y", "https://h:8443/a/x?y"),
            ("../../../../x", "https://h:8443/x"),
            ("./", "https://h:8443/a/b/"),
            ("..", "https://h:8443/a/"),
            ("../..", "https://h:8443/"),
            ("?z", "https://h:8443/a/b/c?z"),
            ("//g/x", "https://g/x"),
            ("http://g/", "http://g/"),
            ("x:y@z/../w?u=http://a", ""),
            ("d/e:f", "https://h:8443/a/b/d/e:f"),
            (" /x ", "https://h:8443/x"),
            ("javascript:alert(1)", ""),
        ] {
            match base.join(location) {
                Ok(url) => assert_eq!(url.to_string(), leads_to, "{location}"),
                Err(error) => assert_eq!((error.code(), leads_to), ("fetch-url", ""), "{location}"),
            }
        }
    }
}
