//! The authority's certificate for download, and a page that says how a device comes to trust it. Both
//! are served without TLS as well: before a device trusts the node, that is the way to get them.

use std::fmt::Write as _;
use std::sync::Arc;

use archy_api::door::NodeCa;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::authority::PATH;
use crate::app::App;

/// Path of the page.
pub const PAGE: &str = "/trust";
const STYLE_PATH: &str = "/trust.css";
const STYLE: &str = include_str!("trust.css");
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The routes.
pub fn routes<S: Clone + Send + Sync + 'static>(app: &Arc<App>) -> Router<S> {
    let (one, two) = (app.clone(), app.clone());
    Router::new()
        .route(PATH, get(move || download(one.clone())))
        .route(PAGE, get(move |headers: HeaderMap| page(two.clone(), headers)))
        .route(STYLE_PATH, get(|| async { answer("text/css; charset=utf-8", STYLE.to_owned()) }))
}

async fn download(app: Arc<App>) -> Response {
    let certs = app.certs().cloned();
    let read = tokio::task::spawn_blocking(move || certs?.authority_pem()).await;
    let Ok(Some(pem)) = read else {
        let text = "This node has no certificate authority of its own.\n";
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let mut response = answer("application/x-x509-ca-cert", pem);
    // the name is of [A-Za-z0-9-] only
    let name = super::hostname().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
    let file = format!("attachment; filename=\"{name}-ca.crt\"");
    if let Ok(value) = HeaderValue::from_str(&file) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

async fn page(app: Arc<App>, headers: HeaderMap) -> Response {
    let certs = app.certs().cloned();
    let read = tokio::task::spawn_blocking(move || certs.map(|certs| certs.describe())).await;
    let ca = read.ok().flatten().unwrap_or_else(super::authority::nothing);
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let words = if wanted.is_some_and(prefers_german) { &GERMAN } else { &ENGLISH };
    answer("text/html; charset=utf-8", render(&ca, &app.hub.name(), words))
}

fn answer(kind: &'static str, body: String) -> Response {
    let mut response = Body::from(body).into_response();
    let headers = response.headers_mut();
    let set: [(HeaderName, &'static str); 6] = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in set {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// True when a browser's list names German before English.
fn prefers_german(list: &str) -> bool {
    let mut tags = list.split(',').map(|tag| tag.trim().to_ascii_lowercase());
    tags.find(|tag| tag.starts_with("de") || tag.starts_with("en"))
        .is_some_and(|tag| tag.starts_with("de"))
}

/// The page's texts in one language.
struct Words {
    lang: &'static str,
    title: &'static str,
    why: &'static str,
    step_compare: &'static str,
    compare: &'static str,
    step_fetch: &'static str,
    fetch: &'static str,
    step_install: &'static str,
    install: &'static [(&'static str, &'static str)],
    after: &'static str,
    none: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    title: "Trust this node",
    why: "This node has a certificate authority of its own. A device that trusts it shows the node \
          and all its apps without a warning, and notices when somebody else pretends to be the node.",
    step_compare: "1. Compare the fingerprint",
    compare: "On the node, <code>openssl x509 -in /etc/archipelago/ssl/ca.crt -noout -fingerprint \
              -sha256</code> must show the same, and so must your device when it installs the \
              certificate. If it differs, stop here.",
    step_fetch: "2. Download the certificate",
    fetch: "Download the certificate",
    step_install: "3. Install it",
    install: &[
        (
            "iPhone, iPad",
            "Open this page in Safari and download. Then Settings, General, VPN &amp; Device \
             Management: install the profile. Then Settings, General, About, Certificate Trust \
             Settings: switch it on.",
        ),
        (
            "Android",
            "Settings, Security, More security settings, Encryption &amp; credentials, Install a \
             certificate, CA certificate: choose the downloaded file. Firefox asks for its own consent: \
             Settings, About, tap the logo five times, then Secret settings, Use third party CA \
             certificates.",
        ),
        (
            "Windows",
            "Open the downloaded file, Install Certificate, Current User, “Place all certificates in \
             the following store”: Trusted Root Certification Authorities.",
        ),
        (
            "macOS",
            "Open the downloaded file; it goes into the login keychain. In Keychain Access open it, \
             Trust, “When using this certificate”: Always Trust.",
        ),
        (
            "Debian, Ubuntu",
            "<code>sudo cp *-ca.crt /usr/local/share/ca-certificates/ &amp;&amp; sudo \
             update-ca-certificates</code>. Chromium: Settings, Privacy and security, Security, Manage \
             certificates, Import.",
        ),
        (
            "Firefox",
            "Settings, Privacy &amp; Security, Certificates, View Certificates, Authorities, Import: \
             “Trust this CA to identify websites”.",
        ),
    ],
    after: "Then close the browser, open it again and go to the node’s address.",
    none: "This node shows a certificate of its operator’s own; it has no authority to install.",
};

const GERMAN: Words = Words {
    lang: "de",
    title: "Diesem Knoten vertrauen",
    why: "Dieser Knoten hat eine eigene Zertifizierungsstelle. Ein Gerät, das ihr vertraut, zeigt den \
          Knoten und alle seine Apps ohne Warnung und bemerkt, wenn sich jemand anderes als der Knoten \
          ausgibt.",
    step_compare: "1. Fingerabdruck vergleichen",
    compare: "Auf dem Knoten muss <code>openssl x509 -in /etc/archipelago/ssl/ca.crt -noout -fingerprint \
              -sha256</code> dasselbe zeigen, und ebenso das Gerät beim Installieren. Weicht er ab, \
              dann hier aufhören.",
    step_fetch: "2. Zertifikat herunterladen",
    fetch: "Zertifikat herunterladen",
    step_install: "3. Installieren",
    install: &[
        (
            "iPhone, iPad",
            "Diese Seite in Safari öffnen und herunterladen. Dann Einstellungen, Allgemein, VPN und \
             Geräteverwaltung: das Profil installieren. Dann Einstellungen, Allgemein, Info, \
             Zertifikatsvertrauenseinstellungen: einschalten.",
        ),
        (
            "Android",
            "Einstellungen, Sicherheit, Weitere Sicherheitseinstellungen, Verschlüsselung und \
             Anmeldedaten, Zertifikat installieren, CA-Zertifikat: die heruntergeladene Datei wählen. \
             Firefox fragt eigens: Einstellungen, Über, fünfmal auf das Logo tippen, dann Geheime \
             Einstellungen, CA-Zertifikate Dritter verwenden.",
        ),
        (
            "Windows",
            "Die heruntergeladene Datei öffnen, Zertifikat installieren, Aktueller Benutzer, „Alle \
             Zertifikate in folgendem Speicher speichern“: Vertrauenswürdige \
             Stammzertifizierungsstellen.",
        ),
        (
            "macOS",
            "Die heruntergeladene Datei öffnen; sie kommt in den Schlüsselbund „Anmeldung“. In der \
             Schlüsselbundverwaltung öffnen, Vertrauen, „Bei Verwendung dieses Zertifikats“: Immer \
             vertrauen.",
        ),
        (
            "Debian, Ubuntu",
            "<code>sudo cp *-ca.crt /usr/local/share/ca-certificates/ &amp;&amp; sudo \
             update-ca-certificates</code>. Chromium: Einstellungen, Datenschutz und Sicherheit, \
             Sicherheit, Zertifikate verwalten, Importieren.",
        ),
        (
            "Firefox",
            "Einstellungen, Datenschutz &amp; Sicherheit, Zertifikate, Zertifikate anzeigen, \
             Zertifizierungsstellen, Importieren: „Dieser CA vertrauen, um Websites zu \
             identifizieren“.",
        ),
    ],
    after: "Danach den Browser schließen, wieder öffnen und zur Adresse des Knotens gehen.",
    none: "Dieser Knoten zeigt ein Zertifikat seines Betreibers; es gibt keine Stelle zu installieren.",
};

fn render(ca: &NodeCa, node: &str, words: &Words) -> String {
    let mut body = format!("<h1>{}</h1><p class=\"node\">{}</p>", words.title, escape(node));
    match &ca.fingerprint {
        None => {
            let _ = write!(body, "<p>{}</p>", words.none);
        }
        Some(fingerprint) => {
            let subject = escape(ca.subject.as_deref().unwrap_or_default());
            let _ = write!(
                body,
                "<p>{}</p><h2>{}</h2><p><strong>{subject}</strong><br>SHA-256</p>\
                 <p class=\"print\"><code>{}</code></p><p>{}</p>\
                 <h2>{}</h2><p><a class=\"do\" href=\"{PATH}\" download>{}</a></p><h2>{}</h2>",
                words.why,
                words.step_compare,
                fingerprint.replace(':', ":<wbr>"),
                words.compare,
                words.step_fetch,
                words.fetch,
                words.step_install,
            );
            for (system, how) in words.install {
                let _ = write!(body, "<details><summary>{system}</summary><p>{how}</p></details>");
            }
            let _ = write!(body, "<p>{}</p>", words.after);
        }
    }
    format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><link rel=\"stylesheet\" href=\"{STYLE_PATH}\"></head>\
         <body><main>{body}</main></body></html>",
        words.lang, words.title
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        for (list, german) in [
            ("de-DE,de;q=0.9,en;q=0.8", true),
            ("en-US,en;q=0.9,de;q=0.8", false),
            ("fr, de;q=0.5", true),
            ("fr", false),
            ("", false),
        ] {
            assert_eq!(prefers_german(list), german, "{list}");
        }
    }

    #[test]
    fn the_page_in_both_languages() {
        let mut ca = super::super::authority::nothing();
        for words in [&ENGLISH, &GERMAN] {
            assert!(render(&ca, "<b>", words).contains("&lt;b&gt;"));
        }
        ca.fingerprint = Some("AA:BB".into());
        let page = render(&ca, "house", &GERMAN);
        assert!(page.contains("AA:<wbr>BB") && page.contains(PATH) && page.contains("lang=\"de\""));
        assert_eq!(ENGLISH.install.len(), GERMAN.install.len());
    }
}
