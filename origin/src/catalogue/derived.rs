//! Derived blobs: the coded forms of blobs, each made once.

use super::{Catalogue, CatalogueError, add_blob, bytes_32, stored_blob};
use crate::blobs::StoredBlob;
use crate::coding::Coding;
use crate::sid::AccountSid;
use skerry_proto::hash::Hash;
use std::collections::HashSet;

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
    /// Which codings of these blobs were tried already, whatever came of it, for an account that had the blobs in a build before.
    ///
    /// What others had coded does not count: how long a publication takes must not tell one account what another has.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn derivations(
        &self,
        account: &AccountSid,
        sources: &[Hash],
    ) -> Result<HashSet<(Hash, Coding)>, CatalogueError> {
        let rows: Vec<(Vec<u8>, String)> = sqlx::query_as(
            "SELECT source_hash, encoding FROM json_each(?2) JOIN derived_blobs ON source_hash = unhex(value) \
             JOIN named_blobs ON account_sid = ?1 AND named_blobs.blob_hash = source_hash",
        )
        .bind(account.as_str())
        .bind(hex_list(sources)?)
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(|(hash, name)| Ok((Hash::from(bytes_32(&hash)?), coding(&name)?))).collect()
    }

    /// Adds what came of coding blobs.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn add_derivations(
        &self,
        derivations: &[Derivation],
        created_at: i64,
    ) -> Result<(), CatalogueError> {
        let mut transaction = self.write().await?;
        for derivation in derivations {
            if let Some(blob) = &derivation.blob {
                add_blob(&mut transaction, blob, created_at).await?;
            }
            sqlx::query(
                "INSERT INTO derived_blobs (source_hash, encoding, blob_hash) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )
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

/// The derived blob of a row, if it has one.
pub(super) fn derived(columns: &DerivedColumns) -> Result<Option<Derived>, CatalogueError> {
    let DerivedColumns { encoding, derived_hash, derived_size, derived_sha256 } = columns;
    let (Some(name), Some(hash), Some(size), Some(sha256)) =
        (encoding, derived_hash, derived_size, derived_sha256)
    else {
        return Ok(None);
    };
    Ok(Some(Derived { coding: coding(name)?, blob: stored_blob(hash, *size, sha256)? }))
}

fn coding(name: &str) -> Result<Coding, CatalogueError> {
    name.parse().map_err(|_| CatalogueError::Damaged("a coding is known"))
}
