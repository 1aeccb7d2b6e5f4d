//! Tokens of signed URLs that were verified before: a player asks for many ranges with one of them, and a signature costs far more to
//! verify than all else of a small answer. Whether a token permits a URL now is asked each time, not here.

use crate::control::Environment;
use crate::metrics::Metrics;
use skerry_proto::hash::Hash;
use skerry_proto::recent::Recent;
use skerry_proto::signed_url::{Parties, Token, TokenError};
use std::sync::{Arc, Mutex, PoisonError};

/// The tokens verified last, under the hash of their text and of what they were verified with.
#[derive(Debug)]
pub(super) struct Tokens {
    recent: Mutex<Recent<Hash, Arc<Token>>>,
    metrics: Arc<Metrics>,
}

impl Tokens {
    pub(super) fn new(count_max: usize, metrics: Arc<Metrics>) -> Self {
        metrics.tokens_max.set(count_max as f64);
        Self { recent: Mutex::new(Recent::new(count_max)), metrics }
    }

    /// A token that one of the environment's keys signed.
    pub(super) fn verified(&self, environment: &Environment, text: &str) -> Result<Arc<Token>, TokenError> {
        // The version stands for the keys: when they change, so does it, and tokens of a revoked key are found no more.
        let version = environment.version;
        let name = format!("{} {} {}\n{text}", environment.domain, version.epoch, version.revision);
        let name = Hash::of(name.as_bytes());
        if let Some(token) = self.recent.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Arc::clone(token));
        }
        // Outside the lock: two who come at once verify twice, and nobody waits.
        let parties = Parties {
            issuer: &environment.account.sid,
            audience: &environment.domain,
            aliases: &environment.aliases,
        };
        let token = Arc::new(Token::verify(text, &environment.url_keys, parties)?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.insert(name, Arc::clone(&token));
        self.metrics.tokens.set(recent.len() as f64);
        Ok(token)
    }
}
