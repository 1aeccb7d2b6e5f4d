//! Sign-in links that work once: for the operator of a development server, who needs no secret to be typed.
//!
//! In memory only, and few: a link is printed where the server was started, and is of no use after a restart.

use crate::secret::{NoRandomness, hex, random, secret_hash};
use crate::sid::AccountSid;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a link can be used.
const VALID: Duration = Duration::from_secs(3600);

/// Links that wait to be used at most; the oldest makes room.
const COUNT_MAX: usize = 16;

/// Links that wait to be used.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Vec<Link>>);

#[derive(Debug)]
struct Link {
    hash: [u8; 32],
    account: AccountSid,
    /// Of the auth token that the session then stands on.
    credential_hash: [u8; 32],
    made_at: Instant,
}

impl Links {
    /// Makes a link for an account, standing on one of its auth tokens. Its secret is told once.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub(crate) fn create(
        &self,
        account: AccountSid,
        auth_token: &str,
        now: Instant,
    ) -> Result<String, NoRandomness> {
        let secret = hex(&random::<24>()?);
        let link = Link {
            hash: secret_hash(secret.as_bytes()),
            account,
            credential_hash: secret_hash(auth_token.as_bytes()),
            made_at: now,
        };
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= COUNT_MAX {
            links.remove(0);
        }
        links.push(link);
        Ok(secret)
    }

    /// Uses a link up: the account, and the hash of the token that it stands on.
    pub(crate) fn redeem(&self, secret: &str, now: Instant) -> Option<(AccountSid, [u8; 32])> {
        let hash = secret_hash(secret.as_bytes());
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = links.iter().position(|link| verify_slices_are_equal(&link.hash, &hash).is_ok())?;
        let link = links.remove(at);
        (now.saturating_duration_since(link.made_at) < VALID).then_some((link.account, link.credential_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountSid {
        "AC1".to_owned().into()
    }

    #[test]
    fn a_link_works_once_and_within_its_time() {
        let (links, now) = (Links::default(), Instant::now());
        let secret = links.create(account(), "token", now).expect("random");
        assert_eq!(links.redeem("another", now), None);
        let expected = Some((account(), secret_hash(b"token")));
        assert_eq!(links.redeem(&secret, now), expected);
        assert_eq!(links.redeem(&secret, now), None, "used");
        let late = links.create(account(), "token", now).expect("random");
        assert_eq!(links.redeem(&late, now + VALID), None);
    }

    #[test]
    fn the_oldest_link_makes_room() {
        let (links, now) = (Links::default(), Instant::now());
        let first = links.create(account(), "token", now).expect("random");
        for _ in 0..COUNT_MAX {
            links.create(account(), "token", now).expect("random");
        }
        assert_eq!(links.redeem(&first, now), None);
    }
}
