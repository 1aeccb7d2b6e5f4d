//! Derived blobs: the coded forms of blobs, each made once.

use super::{Catalogue, CatalogueError, add_blob, stored_blob};
use crate::blobs::StoredBlob;
use crate::coding::Coding;
use crate::sid::AccountSid;
use skerry_proto::hash::Hash;

/// A coded form of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Derived {
    /// How it is coded.
    pub(crate) coding: Coding,
    /// The coded bytes.
    pub(crate) blob: StoredBlob,
}

/// What came of coding a blob.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Derivation {
    /// The blob.
    pub(crate) source: Hash,
    /// How it was coded.
    pub(crate) coding: Coding,
    /// The coded bytes, durable already; `None` where they save too little.
    pub(crate) blob: Option<StoredBlob>,
}

impl Catalogue {
    /// Adds what came of coding blobs for an account. What others had coded is theirs: which forms a build has, and how long it takes
    /// until it has them, must not tell one account what another has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_derivations(
        &self,
        account: &AccountSid,
        derivations: &[Derivation],
        created_at: i64,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        for derivation in derivations {
            if let Some(blob) = &derivation.blob {
                add_blob(&mut transaction, blob, created_at).await?;
            }
            sqlx::query(
                "INSERT INTO derived_blobs (account_sid, source_hash, encoding, blob_hash) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(account.as_str())
            .bind(&derivation.source.as_bytes()[..])
            .bind(derivation.coding.as_str())
            .bind(derivation.blob.map(|blob| blob.id.hash.as_bytes().to_vec()))
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Hashes as one parameter: a JSON list of hexadecimal texts.
pub(super) fn hex_list(hashes: &[Hash]) -> Result<String, CatalogueError> {
    let texts: Vec<String> = hashes.iter().map(Hash::to_string).collect();
    serde_json::to_string(&texts).map_err(|_| CatalogueError::Damaged("texts are JSON"))
}

/// Columns of a derived blob that is joined in from the left.
#[derive(sqlx::FromRow)]
pub(super) struct DerivedColumns {
    encoding: Option<String>,
    derived_hash: Option<Vec<u8>>,
    derived_size: Option<i64>,
    derived_sha256: Option<Vec<u8>>,
}

/// What the coding of a row came to: which one it was, and the blob where there is one. `None`: the row has none.
pub(super) fn derived(columns: &DerivedColumns) -> Result<Option<(Coding, Option<Derived>)>, CatalogueError> {
    let DerivedColumns { encoding, derived_hash, derived_size, derived_sha256 } = columns;
    let Some(name) = encoding else { return Ok(None) };
    let coding: Coding = name.parse().map_err(|_| CatalogueError::Damaged("a coding is known"))?;
    let (Some(hash), Some(size), Some(sha256)) = (derived_hash, derived_size, derived_sha256) else {
        return Ok(Some((coding, None)));
    };
    let blob = stored_blob(hash, *size, sha256)?;
    Ok(Some((coding, Some(Derived { coding, blob }))))
}
