//! Keys of the API: an account shows one in place of its auth token.

use super::super::{Catalogue, CatalogueError, bytes_32};
use crate::sid::AccountSid;

impl Catalogue {
    /// The account of an API key that is not revoked, whether it is the operator's, and the hash of the key's secret.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn api_key(
        &self,
        sid: &str,
    ) -> Result<Option<(AccountSid, bool, [u8; 32])>, CatalogueError> {
        let row: Option<(String, bool, Vec<u8>)> = sqlx::query_as(
            "SELECT account_sid, is_operator, secret_hash FROM api_keys JOIN accounts ON accounts.sid = account_sid \
             WHERE api_keys.sid = ?1 AND revoked_at IS NULL",
        )
        .bind(sid)
        .fetch_optional(self.reader())
        .await?;
        row.map(|(account, is_operator, hash)| Ok((account.into(), is_operator, bytes_32(&hash)?)))
            .transpose()
    }
}
