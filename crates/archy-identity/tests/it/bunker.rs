//! A signer (NIP-46) with the message types of another implementation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use archy_identity::cipher::{self, Direction, Scheme};
use archy_identity::nip46::KIND;
use archy_identity::relay::{Env, RelayLink, any_live};
use archy_identity::uri::NostrConnectUri;
use nostr::event::{Event, EventBuilder, FinalizeEvent as _, Kind, SignEvent as _, Tag};
use nostr::key::{Keys, PublicKey};
use nostr::nips::nip46::{
    NostrConnectMessage, NostrConnectRequest, NostrConnectResponse, ResponseResult,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How a signer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    /// Does what is asked.
    #[default]
    Willing,
    /// Does it, and writes with the old encryption.
    Old,
    /// Says no to every request.
    Refusing,
    /// Answers nothing.
    Silent,
    /// Signs other events than those that it was asked to sign.
    Forging,
    /// Wants a page to be opened.
    AuthUrl,
    /// Repeats the secret instead of `ack`.
    Repeating,
}

/// A signer; it ends when dropped.
pub(crate) struct Bunker {
    pub(crate) keys: Keys,
    pub(crate) user: Keys,
    pub(crate) secret: String,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    mood: Arc<Mutex<Mood>>,
    links: Arc<Vec<RelayLink>>,
    task: AbortHandle,
}

impl Drop for Bunker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Bunker {
    pub(crate) async fn start(relays: &[String], env: &Env, mood: Mood) -> Self {
        let (keys, user) = (Keys::generate(), Keys::generate());
        let (heard, events) = mpsc::channel(64);
        let filter = json!({ "kinds": [KIND], "#p": [keys.public_key().to_hex()] });
        let start = |url: &String| {
            RelayLink::start(url.clone(), filter.clone(), keys.clone(), heard.clone(), env.clone())
        };
        let links: Arc<Vec<RelayLink>> = Arc::new(relays.iter().map(start).collect());
        any_live(&links, Duration::from_secs(20)).await.unwrap();
        let secret = "s3cret".to_owned();
        let (asked, mood) = (Arc::default(), Arc::new(Mutex::new(mood)));
        let desk = Desk {
            keys: keys.clone(),
            user: user.clone(),
            secret: secret.clone(),
            asked: Arc::clone(&asked),
            mood: mood.clone(),
            links: links.clone(),
        };
        let task = tokio::spawn(desk.serve(events)).abort_handle();
        Self { keys, user, secret, asked, mood, links, task }
    }

    pub(crate) fn uri(&self) -> String {
        let relays: Vec<String> =
            self.links.iter().map(|link| format!("relay={}", link.url())).collect();
        format!(
            "bunker://{}?{}&secret={}",
            self.keys.public_key().to_hex(),
            relays.join("&"),
            self.secret
        )
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Requests of this kind so far.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| *asked == method).count()
    }

    /// Scans a `nostrconnect://` link and answers it with this secret, or the link's own.
    pub(crate) async fn answer(&self, link: &str, secret: Option<&str>) {
        let uri = NostrConnectUri::parse(link).unwrap();
        let secret = secret.unwrap_or(&uri.secret);
        let response =
            NostrConnectResponse::with_result(ResponseResult::ConnectSecret(secret.into()));
        let message = NostrConnectMessage::response("hello", response);
        let event = sealed(&self.keys, uri.client, &message, Mood::Willing);
        for link in self.links.iter() {
            while link.publish(event.clone()).await.is_err() {
                any_live(std::slice::from_ref(link), Duration::from_secs(20)).await.unwrap();
            }
        }
    }
}

struct Desk {
    keys: Keys,
    user: Keys,
    secret: String,
    asked: Arc<Mutex<Vec<String>>>,
    mood: Arc<Mutex<Mood>>,
    links: Arc<Vec<RelayLink>>,
}

impl Desk {
    async fn serve(self, mut events: mpsc::Receiver<Event>) {
        let mut seen = std::collections::HashSet::new();
        while let Some(event) = events.recv().await {
            if !seen.insert(event.id) {
                continue;
            }
            let secret = self.keys.secret_key();
            let Ok(text) = nostr::nips::nip44::decrypt(secret, &event.pubkey, &event.content)
            else {
                continue;
            };
            let message: NostrConnectMessage = serde_json::from_str(&text).unwrap();
            let id = message.id().to_owned();
            let request = message.to_request().unwrap();
            self.asked.lock().unwrap().push(request.method().to_string());
            let mood = *self.mood.lock().unwrap();
            if mood == Mood::Silent {
                continue;
            }
            let message = NostrConnectMessage::response(id, self.respond(request, mood));
            let answer = sealed(&self.keys, event.pubkey, &message, mood);
            for link in self.links.iter() {
                let _ = link.publish(answer.clone()).await;
            }
        }
    }

    fn respond(&self, request: NostrConnectRequest, mood: Mood) -> NostrConnectResponse {
        let done = NostrConnectResponse::with_result;
        if mood == Mood::Refusing {
            return NostrConnectResponse::with_error("the owner said no");
        }
        if mood == Mood::AuthUrl {
            let url = "https://signer.example/allow".to_owned();
            return NostrConnectResponse::new(Some(ResponseResult::AuthUrl), Some(url));
        }
        let run = |peer: &PublicKey, direction, scheme, text: &str| {
            cipher::run(&self.user, peer, direction, scheme, text).unwrap()
        };
        match request {
            NostrConnectRequest::Connect { remote_signer_public_key, secret } => {
                assert_eq!(remote_signer_public_key, self.keys.public_key());
                match secret {
                    Some(secret) if secret != self.secret => {
                        NostrConnectResponse::with_error("wrong secret")
                    }
                    Some(secret) if mood == Mood::Repeating => {
                        done(ResponseResult::ConnectSecret(secret))
                    }
                    _ => done(ResponseResult::Ack),
                }
            }
            NostrConnectRequest::GetPublicKey => {
                done(ResponseResult::GetPublicKey(self.user.public_key()))
            }
            NostrConnectRequest::SignEvent(mut unsigned) => {
                if mood == Mood::Forging {
                    unsigned.content.push('!');
                    unsigned.id = None;
                }
                done(ResponseResult::SignEvent(Box::new(self.user.sign_event(unsigned).unwrap())))
            }
            NostrConnectRequest::Nip04Encrypt { public_key, text } => {
                let ciphertext = run(&public_key, Direction::Encrypt, Scheme::Nip04, &text);
                done(ResponseResult::Nip04Encrypt { ciphertext })
            }
            NostrConnectRequest::Nip04Decrypt { public_key, ciphertext } => {
                let plaintext = run(&public_key, Direction::Decrypt, Scheme::Nip04, &ciphertext);
                done(ResponseResult::Nip04Decrypt { plaintext })
            }
            NostrConnectRequest::Nip44Encrypt { public_key, text } => {
                let ciphertext = run(&public_key, Direction::Encrypt, Scheme::Nip44, &text);
                done(ResponseResult::Nip44Encrypt { ciphertext })
            }
            NostrConnectRequest::Nip44Decrypt { public_key, ciphertext } => {
                let plaintext = run(&public_key, Direction::Decrypt, Scheme::Nip44, &ciphertext);
                done(ResponseResult::Nip44Decrypt { plaintext })
            }
            NostrConnectRequest::Ping => done(ResponseResult::Pong),
        }
    }
}

fn sealed(keys: &Keys, to: PublicKey, message: &NostrConnectMessage, mood: Mood) -> Event {
    let text = serde_json::to_string(message).unwrap();
    let scheme = if mood == Mood::Old { Scheme::Nip04 } else { Scheme::Nip44 };
    let content = cipher::run(keys, &to, Direction::Encrypt, scheme, &text).unwrap();
    let builder = EventBuilder::new(Kind::from_u16(KIND), content).tag(Tag::public_key(to));
    builder.finalize(keys).unwrap()
}
