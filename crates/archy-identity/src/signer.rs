//! Signs for an identity, whoever holds its key.

use std::sync::Arc;
use std::time::Duration;

use archy_types::UserError;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nostr::event::Event;
use nostr::key::PublicKey;
use serde_json::{Value, json};

use crate::cipher::{self, Direction, Scheme};
use crate::event::{self, Template};
use crate::login::{self, Attempt, Outcome};
use crate::nip46::{self, LinkError, Links, Meta, Pairings};
use crate::relay::{self, Env};
use crate::store::{Identities, Identity, Signs, linked};
use crate::uri::BunkerUri;

/// The signer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signer {
    identities: Arc<Identities>,
    links: Links,
    pairings: Pairings,
}

impl Signer {
    /// A signer for these identities.
    #[must_use]
    pub fn new(identities: Arc<Identities>, env: Env) -> Self {
        let pairings = Pairings::new(identities.clone(), env.clone());
        Self { identities, links: Links::new(env), pairings }
    }

    /// The identities.
    #[must_use]
    pub fn identities(&self) -> &Arc<Identities> {
        &self.identities
    }

    /// Pairings by a link of this node.
    #[must_use]
    pub fn pairings(&self) -> &Pairings {
        &self.pairings
    }

    /// Sessions of linked identities.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Signs an event as an app sent it; the default identity signs where none is named.
    ///
    /// # Errors
    /// The event is none, the identity is not there, or its signer says no or nothing.
    pub async fn sign_event(&self, id: Option<&str>, event: &Value) -> Result<Event, UserError> {
        let template = Template::read(event, (self.links.env().clock)())?;
        let (id, signs) = self.identities.signs(id)?;
        let link = match signs {
            Signs::Local(keys) => return template.sign(&keys),
            Signs::Linked(link) => link,
        };
        // the same event again joins the prompt; one without a time is the same within a minute
        template.unsigned(link.user)?;
        let session = self.links.session(&id, &link);
        let text = event.to_string();
        let work = async move {
            let signed = session.sign_event(&template, link.user).await?;
            serde_json::to_string(&signed)
                .map_err(|_| LinkError::Bad("the event cannot be written"))
        };
        let signed = self.links.once(&[&id, "sign_event", &text], work).await?;
        Ok(serde_json::from_str(&signed).map_err(|_| LinkError::Bad("the event cannot be read"))?)
    }

    /// Stores an identity's profile, signs it (kind 0), and publishes it on these relays.
    ///
    /// # Errors
    /// `profile-invalid`, `profile-missing`, or it could not be signed.
    pub async fn publish_profile(
        &self,
        id: &str,
        profile: Option<Value>,
        relays: &[String],
    ) -> Result<(Event, Vec<(String, Result<(), String>)>), UserError> {
        if let Some(profile) = profile {
            let (identities, id) = (self.identities.clone(), id.to_owned());
            let set = move || identities.set_profile(&id, Some(profile));
            tokio::task::spawn_blocking(set).await.map_err(broken)??;
        }
        let profile = self.identities.get(id)?.profile.ok_or_else(|| {
            UserError::new("profile-missing", "Missing profile: the identity has none yet.")
                .hint("Send it as an object, for example with name and about.")
        })?;
        let event = json!({ "kind": 0, "content": profile.to_string() });
        let event = self.sign_event(Some(id), &event).await?;
        let keys = match self.identities.signs(Some(id))?.1 {
            Signs::Local(keys) => keys,
            Signs::Linked(link) => link.client,
        };
        let outcome = relay::publish_everywhere(relays, &event, &keys, self.links.env()).await;
        Ok((event, outcome))
    }

    /// Signs the id of an event whose content is not shown.
    ///
    /// # Errors
    /// `event-hash-invalid`; `identity-linked`: linked signers only sign what they see.
    pub fn sign_hash(
        &self,
        id: Option<&str>,
        hash: &str,
    ) -> Result<(PublicKey, String), UserError> {
        match self.identities.signs(id)?.1 {
            Signs::Local(keys) => Ok((keys.public_key(), event::sign_hash(&keys, hash)?)),
            Signs::Linked(_) => Err(linked("cannot sign a bare hash")),
        }
    }

    /// Encrypts for a peer, or decrypts what a peer wrote.
    ///
    /// # Errors
    /// The text is empty or too long, the peer is no key, it does not open, or the identity's
    /// signer says no or nothing.
    pub async fn cipher(
        &self,
        id: Option<&str>,
        peer: &str,
        direction: Direction,
        scheme: Scheme,
        text: &str,
    ) -> Result<String, UserError> {
        cipher::check(direction, scheme, text)?;
        let peer = event::public_key(peer)?;
        let (id, signs) = self.identities.signs(id)?;
        let link = match signs {
            Signs::Local(keys) => return cipher::run(&keys, &peer, direction, scheme, text),
            Signs::Linked(link) => link,
        };
        let session = self.links.session(&id, &link);
        let owned = text.to_owned();
        let work = async move { session.cipher(&peer, direction, scheme, &owned).await };
        let what = format!("{direction:?} {scheme:?}");
        let done = self.links.once(&[&id, &what, &peer.to_hex(), text], work).await?;
        Ok(done)
    }

    /// Follows a signer's `bunker://` link and adds its identity.
    ///
    /// # Errors
    /// The link is none, the signer says no or nothing, or its key is here already.
    pub async fn link_bunker(&self, meta: Meta, uri: &str) -> Result<Identity, UserError> {
        let uri = BunkerUri::parse(uri)?;
        crate::store::valid_name(&meta.name)?;
        let env = self.links.env();
        let link = nip46::link_bunker(&uri, &self.identities, env).await?;
        let (identities, now) = (self.identities.clone(), (env.clock)());
        let add = move || identities.link(&meta.name, meta.purpose, link, now);
        tokio::task::spawn_blocking(add).await.map_err(broken)?
    }

    /// The key with which an identity's linked signer approves logins.
    ///
    /// # Errors
    /// `identity-not-found`, `signer-not-linked`: a key that the node holds itself approves nothing.
    pub fn approver(&self, id: &str) -> Result<String, UserError> {
        match self.identities.signs(Some(id))?.1 {
            Signs::Linked(link) => Ok(link.user.to_hex()),
            Signs::Local(_) => Err(UserError::new(
                "signer-not-linked",
                "Invalid identity: its key is on this node, so it proves nothing about you.",
            )
            .hint("Link a signer on another device first.")),
        }
    }

    /// Asks linked signers, each named by its identity and key, to approve a login. The first that
    /// does wins; gives its identity.
    ///
    /// # Errors
    /// How it ended when none approved.
    pub async fn approve(
        &self,
        attempt: &Attempt,
        enrolled: &[(String, String)],
    ) -> Result<String, Outcome> {
        let clock = &self.links.env().clock;
        let mut asked: FuturesUnordered<_> =
            enrolled.iter().map(|(id, key)| self.ask(attempt, id, key)).collect();
        let left = attempt.began.0 + login::ATTEMPT_MILLIS - clock().0;
        let deadline = tokio::time::sleep(Duration::from_millis(left.max(0).unsigned_abs()));
        tokio::pin!(deadline);
        let mut end = Outcome::Offline;
        loop {
            tokio::select! {
                () = &mut deadline => return Err(Outcome::Expired),
                answer = asked.next() => match answer {
                    Some(Ok(id)) => return Ok(id),
                    Some(Err(outcome)) => end = outcome,
                    None => return Err(end),
                }
            }
        }
    }

    async fn ask(&self, attempt: &Attempt, id: &str, key: &str) -> Result<String, Outcome> {
        let clock = &self.links.env().clock;
        let signs = self.identities.signs(Some(id)).map_err(|_| Outcome::Failed)?.1;
        let Signs::Linked(link) = signs else { return Err(Outcome::Failed) };
        if link.user.to_hex() != key {
            return Err(Outcome::Failed);
        }
        let session = self.links.session(id, &link);
        let signed = session.sign_event(&attempt.template(clock()), link.user).await;
        let event = signed.map_err(|error| match error {
            LinkError::Offline(_) | LinkError::Full => Outcome::Offline,
            LinkError::Denied(_) | LinkError::Refused(_) => Outcome::Denied,
            LinkError::Silent => Outcome::Expired,
            LinkError::Bad(_) | LinkError::AuthUrl => Outcome::Refused,
        })?;
        match attempt.approved_by(&event, &[link.user], clock()) {
            Ok(_) => Ok(id.to_owned()),
            Err(login::Unfit::Expired) => Err(Outcome::Expired),
            Err(login::Unfit::Event) => Err(Outcome::Refused),
        }
    }

    /// Deletes an identity and ends its session.
    ///
    /// # Errors
    /// As [`Identities::delete`].
    pub fn delete(&self, id: &str) -> Result<(), UserError> {
        self.identities.delete(id)?;
        self.links.forget(id);
        Ok(())
    }
}

fn broken(error: tokio::task::JoinError) -> UserError {
    UserError::new("internal", format!("The identity was not changed: {error}."))
}
