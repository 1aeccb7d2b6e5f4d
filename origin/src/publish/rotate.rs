//! Rotation of the signing key: a new key signs everything from a revision on, and hands out its trust by the chain of key sets.
//!
//! The key is durable before anything names it. One transaction brings its set into force and signs every pointer again, and nobody
//! writes between that and the moment at which the new key takes over: so there is no revision whose pointer is signed by a key that is
//! not in force at it. The old key is removed then.

use super::{PublishError, Publisher, unix_seconds};
use crate::catalogue::{Actor, Rotation};
use crate::cause;
use crate::keys::Signer;
use bytes::Bytes;
use prost::Message;
use skerry_proto::document;
use skerry_proto::pointer::{Pointer, Version};
use skerry_proto::wire::SignedPointer;
use std::sync::Arc;
use std::time::SystemTime;

/// A key that signs from now on.
#[derive(Debug, Clone)]
pub(crate) struct Rotated {
    /// Of its set.
    pub(crate) number: u64,
    pub(crate) public_key: Vec<u8>,
    /// Whoever acknowledged this takes nothing new that an older key signed.
    pub(crate) version: Version,
}

impl Publisher {
    /// Number of the key set in force.
    pub(crate) fn key_set_number(&self) -> u64 {
        self.shared.keys.signer().set.number
    }

    /// Signs with a new key from now on.
    ///
    /// # Errors
    /// [`PublishError::Busy`] while another rotation is under way, [`PublishError::Keys`], [`PublishError::Catalogue`]; the old key goes on.
    pub(crate) async fn rotate_keys(&self, actor: &Actor) -> Result<Rotated, PublishError> {
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            let shared = &publisher.shared;
            let turn = Arc::clone(&shared.rotation).lock_owned();
            let turn = tokio::time::timeout(shared.turn_time_max, turn).await;
            let _turn = turn.map_err(|_| PublishError::Busy)?;
            let keys = Arc::clone(&shared.keys);
            let prepared = tokio::task::spawn_blocking(move || keys.prepare_next()).await;
            let (next, signed) = prepared.map_err(|_| PublishError::Stopping)??;
            let old = shared.keys.signer();
            let now = unix_seconds(SystemTime::now());
            let rotation = Rotation {
                number: next.set.number,
                signed: document::encode(&signed).to_vec(),
                detail: format!("signing key {}", skerry_proto::hash::Hash::from(next.set.keys[0])),
                created_at: now,
            };
            let restamp = |pointer: &[u8], version| signed_again(pointer, version, &old, &next, now);
            let take_over = || shared.keys.take_over(Arc::clone(&next));
            let version = shared.catalogue.rotate_keys(&actor, &rotation, restamp, take_over).await?;
            let version = version.ok_or(PublishError::Superseded)?;
            shared.metrics.version(version);
            shared.metrics.fleet.key_set_number.set(next.set.number as f64);
            let keys = Arc::clone(&shared.keys);
            let removed = tokio::task::spawn_blocking(move || keys.remove_older()).await;
            if let Ok(Err(error)) = removed {
                let error = cause::chain(&error);
                tracing::warn!(
                    error,
                    "a signing key that was succeeded cannot be removed; remove it by hand"
                );
            }
            tracing::info!(
                number = next.set.number,
                revision = version.revision,
                "a new key signs from now on"
            );
            Ok(Rotated { number: next.set.number, public_key: next.key.public_key().to_vec(), version })
        })
        .await
    }
}

/// The same pointer at another version, by another key.
fn signed_again(signed: &[u8], version: Version, old: &Signer, next: &Signer, now: i64) -> Option<Vec<u8>> {
    let signed = SignedPointer::decode(Bytes::copy_from_slice(signed)).ok()?;
    let pointer = Pointer::open(&signed, &old.set).ok()?;
    Some(Pointer { version, issued_at: now, ..pointer }.sign(&next.key).encode_to_vec())
}
