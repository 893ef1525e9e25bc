//! Asks for the state from many clients at once, each over one connection that it keeps, and prints rate and latency
//! as one line of JSON. Bounded in time and in the number of calls.
//!
//! `load --clients 32 --seconds 8 --at-most 200000 (--unix SOCKET | --https URL --ca FILE)`; over HTTPS the owner's
//! password is read from standard input.
use std::error::Error;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use archy_api::paths;
use archy_client::{Client, Session};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

type Failure = Box<dyn Error + Send + Sync>;

/// What one client does.
const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"server.get-state","params":{}}"#;

/// What was asked for on the command line.
struct Plan {
    clients: u64,
    time: Duration,
    at_most: u64,
    way: Way,
}

/// The way to the daemon.
#[derive(Clone)]
enum Way {
    Unix(PathBuf),
    Https { host: String, tls: Arc<ClientConfig>, session: Session },
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let plan = read().await?;
    let left = Arc::new(AtomicU64::new(plan.at_most));
    let mut senders = Vec::new();
    for _ in 0..plan.clients {
        senders.push(open(&plan.way).await?);
    }
    let began = Instant::now();
    let clients: Vec<_> = senders
        .into_iter()
        .map(|sender| {
            tokio::spawn(client(sender, plan.way.clone(), began + plan.time, left.clone()))
        })
        .collect();
    let (mut times, mut errors, mut bytes) = (Vec::new(), 0_u64, 0);
    for client in clients {
        let done = client.await?;
        times.extend(done.times);
        errors += done.errors;
        bytes = bytes.max(done.bytes);
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort_unstable();
    let rank = |part: usize| {
        let at = (times.len() * part / 100).min(times.len().saturating_sub(1));
        times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    let calls = u32::try_from(times.len())?;
    let figures = serde_json::json!({
        "calls": calls,
        "per_second": f64::from(calls) / seconds,
        "p50_ms": rank(50),
        "p99_ms": rank(99),
        "errors": errors,
        "bytes": bytes,
    });
    std::io::Write::write_all(&mut std::io::stdout(), format!("{figures}\n").as_bytes())?;
    Ok(())
}

async fn read() -> Result<Plan, Failure> {
    let (mut unix, mut url, mut ca) = (None, None, None);
    let (mut clients, mut seconds, mut at_most) = (32, 8, 200_000);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--clients" => clients = value.parse::<u64>()?.clamp(1, 256),
            "--seconds" => seconds = value.parse::<u64>()?.clamp(1, 60),
            "--at-most" => at_most = value.parse::<u64>()?.min(1_000_000),
            "--unix" => unix = Some(PathBuf::from(value)),
            "--https" => url = Some(value),
            "--ca" => ca = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option {word}").into()),
        }
    }
    let way = match (unix, url, ca) {
        (Some(path), None, None) => Way::Unix(path),
        (None, Some(url), Some(ca)) => https(&url, &std::fs::read(ca)?).await?,
        _ => return Err("give --unix, or --https with --ca".into()),
    };
    Ok(Plan { clients, time: Duration::from_secs(seconds), at_most, way })
}

async fn https(url: &str, ca: &[u8]) -> Result<Way, Failure> {
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password)?;
    let mut client = Client::https(url, ca, None)?;
    let session = client.login(password.trim_end()).await?.clone();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
    Ok(Way::Https { host, tls: Arc::new(tls), session })
}

async fn open(way: &Way) -> Result<SendRequest<Full<Bytes>>, Failure> {
    match way {
        Way::Unix(path) => speak(UnixStream::connect(path).await?).await,
        Way::Https { host, tls, .. } => {
            let tcp = TcpStream::connect((host.as_str(), 443)).await?;
            tcp.set_nodelay(true)?;
            let name = ServerName::try_from(host.clone())?;
            speak(TlsConnector::from(tls.clone()).connect(name, tcp).await?).await
        }
    }
}

async fn speak<T>(stream: T) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// What one client saw.
struct Done {
    times: Vec<Duration>,
    errors: u64,
    bytes: usize,
}

async fn client(
    mut sender: SendRequest<Full<Bytes>>,
    way: Way,
    until: Instant,
    left: Arc<AtomicU64>,
) -> Done {
    let mut done = Done { times: Vec::new(), errors: 0, bytes: 0 };
    let take = |n: u64| n.checked_sub(1);
    while Instant::now() < until
        && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    {
        let began = Instant::now();
        match ask(&mut sender, &way).await {
            Ok(bytes) => {
                done.times.push(began.elapsed());
                done.bytes = bytes;
            }
            Err(_) => {
                done.errors += 1;
                // a connection that failed once is of no more use
                return done;
            }
        }
    }
    done
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, way: &Way) -> Result<usize, Failure> {
    let mut request = http::Request::post(paths::RPC).header("content-type", "application/json");
    request = match way {
        Way::Unix(_) => request.header("host", "localhost"),
        Way::Https { host, session, .. } => {
            let cookies = format!(
                "{}={}; {}={}",
                paths::SESSION_COOKIE,
                session.token,
                paths::CSRF_COOKIE,
                session.csrf
            );
            let request = request.header("host", host).header("cookie", cookies);
            request.header(paths::CSRF_HEADER, &session.csrf)
        }
    };
    sender.ready().await?;
    let request = request.body(Full::new(Bytes::from_static(CALL)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() || !body.ends_with(b"}") || body.len() < 1000 {
        return Err(format!("status {status}, {} bytes", body.len()).into());
    }
    Ok(body.len())
}
