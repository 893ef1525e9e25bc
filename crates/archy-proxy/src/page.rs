//! Changes in an app's pages that its manifest asks for: the dashboard may frame them, and they get the
//! script of the signer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};

use crate::policy::{Needs, Script, widen};
use crate::rule::{Nostr, Page, Rule};
use crate::splice::Splice;

/// Where a page finds the signer's script, on its own origin.
pub const PROVIDER: &str = "/nostr-provider.js";
/// Where the signer's script finds the signer, on the dashboard.
const SIGNER: &str = "/nostr-signer";

/// Policies, also those that only report.
const POLICIES: [HeaderName; 2] =
    [header::CONTENT_SECURITY_POLICY, header::CONTENT_SECURITY_POLICY_REPORT_ONLY];

/// What is to be done with the answer to a request.
#[derive(Debug)]
pub(crate) struct Wish {
    /// Host and port as the browser knows them.
    host: String,
    scheme: &'static str,
    /// The answer is a page that is shown.
    page: bool,
}

impl Wish {
    /// Looks at a request, and asks the app for something that can be changed.
    pub(crate) fn of<B>(request: &mut Request<B>, page: &Page, secure: bool) -> Option<Self> {
        if !page.allow_frame && page.nostr.is_none() {
            return None;
        }
        let shown = *request.method() == Method::GET && accepts_page(request.headers());
        let all = request.headers_mut();
        if shown && page.nostr.is_some() {
            // a page that is packed, cut or known already could not be changed
            for name in [
                header::ACCEPT_ENCODING,
                header::IF_NONE_MATCH,
                header::IF_MODIFIED_SINCE,
                header::RANGE,
                header::IF_RANGE,
            ] {
                all.remove(name);
            }
        }
        let host = all.get(header::HOST)?.to_str().ok()?.to_owned();
        Some(Self { host, scheme: if secure { "https" } else { "http" }, page: shown })
    }

    /// Changes the head of an answer, and gives the tag that belongs into its body.
    pub(crate) fn shape(
        self,
        status: StatusCode,
        headers: &mut HeaderMap,
        rule: &Rule,
    ) -> Option<Splice> {
        let nostr = rule.page.nostr.as_ref().filter(|_| self.page && changeable(status, headers));
        let nonce = STANDARD_NO_PAD.encode(rand::random::<[u8; 16]>());
        let (scheme, host) = (self.scheme, self.host.as_str());
        let node = node_of(host);
        let needs = Needs {
            script: nostr.map(|_| Script {
                url: format!("{scheme}://{host}{PROVIDER}"),
                nonce: nonce.clone(),
            }),
            frame: nostr.map(|_| format!("{scheme}://{node}{SIGNER}")),
            ancestors: rule.page.allow_frame.then(|| ancestors(node)),
        };
        for name in &POLICIES {
            amend(headers, name, &needs);
        }
        if rule.page.allow_frame {
            unlock(headers, node);
        }
        let nostr = nostr?;
        headers.remove(header::CONTENT_LENGTH);
        headers.remove(header::ETAG);
        headers.remove(header::LAST_MODIFIED);
        headers.remove(header::ACCEPT_RANGES);
        // its nonce is good once
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(Splice::new(tag(rule, nostr, &nonce)))
    }
}

/// The script's tag.
fn tag(rule: &Rule, nostr: &Nostr, nonce: &str) -> String {
    let login = if nostr.login { "" } else { " data-no-nip98" };
    // an app's id and a nonce need no escapes
    format!(
        "<script src=\"{PROVIDER}\" data-app-id=\"{}\"{login} nonce=\"{nonce}\"></script>",
        rule.app
    )
}

fn accepts_page(headers: &HeaderMap) -> bool {
    let script = headers
        .get("sec-fetch-dest")
        .is_some_and(|value| !matches!(value.as_bytes(), b"document" | b"iframe" | b"frame"));
    let mut accepted =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    !script && accepted.any(|text| text.contains("text/html"))
}

/// True for a whole page that is not packed.
fn changeable(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let html =
        kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    let plain = headers
        .get(header::CONTENT_ENCODING)
        .is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"identity"));
    html && plain && status != StatusCode::PARTIAL_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// The host without its port; the dashboard has the usual ones.
pub(crate) fn node_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((node, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => node,
        _ => host,
    }
}

/// Who may frame a page: this node's pages on any port. Policies know no IPv6 addresses (Content
/// Security Policy, section 2.3.1), so that there only the same port may.
pub(crate) fn ancestors(node: &str) -> String {
    match node.contains(['[', ',', ';', ' ']) {
        true => "'self'".to_owned(),
        false => format!("'self' https://{node}:* http://{node}:*"),
    }
}

/// Drops the older header that forbids frames; what it forbade to other sites stays forbidden.
fn unlock(headers: &mut HeaderMap, node: &str) {
    if headers.remove(header::X_FRAME_OPTIONS).is_none() {
        return;
    }
    let policy = format!("frame-ancestors {}", ancestors(node));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.append(header::CONTENT_SECURITY_POLICY, policy);
    }
}

fn amend(headers: &mut HeaderMap, name: &HeaderName, needs: &Needs) {
    let lines: Vec<HeaderValue> = headers
        .get_all(name)
        .iter()
        .map(|line| {
            let wider = line.to_str().ok().map(|line| widen(line, needs));
            wider.and_then(|line| HeaderValue::from_str(&line).ok()).unwrap_or_else(|| line.clone())
        })
        .collect();
    headers.remove(name);
    for line in lines {
        headers.append(name, line);
    }
}
