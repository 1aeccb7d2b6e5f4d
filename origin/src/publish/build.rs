//! Builds: from chosen versions to the documents that show them. The same for one-step publishing and for the REST API.
//!
//! A build that is begun over REST is a row first, and work then, which goes on after a restart: nothing of it is lost, and what was
//! made already is not made again. What can be known at once is refused before; what cannot makes the build fail, and it says why.

use super::derive::representations;
use super::site_file::{self, SiteFile};
use super::{PublishError, Publisher, contents, unix_seconds};
use crate::catalogue::{
    Actor, AssetVersion, BuildDetails, BuildDocuments, CatalogueError, Document, NewBuild,
};
use crate::cause;
use crate::sid::{AccountSid, BuildSid, ServiceSid};
use skerry_proto::hash::Hash;
use skerry_proto::manifest;
use skerry_proto::paging::Documents;
use skerry_proto::slices::BlobId;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Bytes of dependencies at most; they are kept, and shown again.
const DEPENDENCIES_SIZE_MAX: usize = 64 << 10;

/// Characters of a runtime's name at most.
const RUNTIME_MAX: usize = 64;

/// What a build is to be made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen {
    /// SIDs of asset versions.
    pub(crate) assets: Vec<String>,
    /// SIDs of function versions.
    pub(crate) functions: Vec<String>,
    /// A JSON list of packages, as clients send it; `None` for none.
    pub(crate) dependencies: Option<String>,
    /// For functions; `None` for the default.
    pub(crate) runtime: Option<String>,
}

/// The runtime of builds that name none.
const RUNTIME_DEFAULT: &str = "node22";

impl Publisher {
    /// Begins a build, which goes on by itself.
    ///
    /// # Errors
    /// [`PublishError::Refused`] for duplicates and counts over the limit, [`PublishError::Unknown`], [`PublishError::Invalid`],
    /// [`PublishError::Busy`] when too many wait, [`PublishError::Catalogue`].
    pub(crate) async fn create_build(
        &self,
        actor: &Actor,
        service: &ServiceSid,
        chosen: Chosen,
    ) -> Result<BuildDetails, PublishError> {
        let catalogue = &self.shared.catalogue;
        let versions = catalogue.versions(service, &chosen.assets).await?;
        self.refuse_purged(&actor.account, &versions)?;
        let limits = self.limits(service).await?.limits;
        let versions =
            contents::apply(Vec::new(), versions, &chosen.assets, &[], &limits).map_err(unknown)?;
        let functions = catalogue.function_versions(service, &chosen.functions).await?;
        if let Some(sid) = chosen.functions.iter().find(|sid| !functions.contains_key(sid.as_str())) {
            return Err(PublishError::Unknown { noun: "function version", name: sid.clone() });
        }
        let turn = self.build_turn()?;
        let new = NewBuild {
            build: BuildSid::random()?,
            service: service.clone(),
            versions: versions.iter().map(|version| version.number).collect(),
            functions: functions.into_values().collect(),
            dependencies: dependencies(chosen.dependencies.as_deref().unwrap_or("[]"))?,
            runtime: runtime(chosen.runtime)?,
            created_at: unix_seconds(SystemTime::now()),
        };
        let (publisher, actor) = (self.clone(), actor.clone());
        self.to_the_end(async move {
            let begun = publisher.shared.catalogue.begin_build(&actor, &new).await?;
            let builder = publisher.clone();
            publisher.shared.tasks.spawn(async move {
                let _turn = turn;
                builder.finish_build(&actor.account, &new.build).await;
            });
            Ok(begun)
        })
        .await
    }

    /// Goes on with the builds that an earlier process did not finish.
    ///
    /// # Errors
    /// Any [`CatalogueError`].
    pub(crate) async fn resume_builds(&self) -> Result<(), CatalogueError> {
        for unfinished in self.shared.catalogue.unfinished_builds().await? {
            let publisher = self.clone();
            self.shared.tasks.spawn(async move {
                publisher.finish_build(&unfinished.account, &unfinished.build).await;
            });
        }
        Ok(())
    }

    /// Makes what a begun build shows. It stays begun when the origin stops meanwhile, or cannot write.
    async fn finish_build(&self, account: &AccountSid, build: &BuildSid) {
        let made = tokio::select! {
            made = self.make(account, build) => made,
            () = self.shared.stopping.cancelled() => return,
        };
        let Err(error) = made else { return };
        tracing::warn!(build = %build, error = cause::chain(&error), "a build failed");
        let failure = match &error {
            PublishError::Refused(_) | PublishError::Document(_) => error.to_string(),
            _ => "the origin failed; its log says why".to_owned(),
        };
        let now = unix_seconds(SystemTime::now());
        if let Err(error) = self.shared.catalogue.fail_build(build, &failure, now).await {
            tracing::error!(build = %build, error = cause::chain(&error), "a build that failed is tried again at the next start");
        }
    }

    async fn make(&self, account: &AccountSid, build: &BuildSid) -> Result<(), PublishError> {
        let catalogue = &self.shared.catalogue;
        let cpu_time = self.derive(account, &catalogue.build_versions(build).await?).await;
        // Read again: now with what was derived.
        let versions: Arc<[AssetVersion]> = catalogue.build_versions(build).await?.into();
        let unfinished = self.unfinished(&versions, cpu_time);
        let site_file = self.site_file(&versions).await?;
        let documents = self.write_build(versions, site_file, unfinished).await?;
        let now = unix_seconds(SystemTime::now());
        catalogue.complete_build(account, build, &documents, now).await?;
        if unfinished.is_some() {
            self.shared.unfinished.notify_one();
        }
        Ok(())
    }

    /// Writes the manifest of a build, on a thread that may block and compute. `unfinished`: coded forms are to join it later.
    ///
    /// # Errors
    /// [`PublishError::Refused`] when the site file names what the build does not have, [`PublishError::Document`],
    /// [`PublishError::Blob`].
    pub(super) async fn write_build(
        &self,
        versions: Arc<[AssetVersion]>,
        site_file: SiteFile,
        unfinished: Option<Duration>,
    ) -> Result<BuildDocuments, PublishError> {
        let publisher = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let entries = entries(&versions, &site_file);
            let missing = site_file.missing_targets(&entries);
            if !missing.is_empty() {
                return Err(PublishError::Refused(missing));
            }
            let (manifest, pages) = publisher.store_all(&manifest::write(&entries, &site_file.rules)?)?;
            Ok(BuildDocuments { manifest, pages, derived: derived(&entries), unfinished })
        });
        work.await.unwrap_or(Err(PublishError::Stopping))
    }

    /// Stores pages, then the root that names them: the root, and the pages. Blocks.
    pub(super) fn store_all(&self, documents: &Documents) -> Result<(Document, Vec<Document>), PublishError> {
        let store = |page| self.shared.blobs.store(page);
        let pages = documents.pages.iter().map(store).collect::<Result<_, _>>()?;
        Ok((self.shared.blobs.store(&documents.root)?, pages))
    }

    /// What the site file of a build declares; nothing without one.
    pub(super) async fn site_file(&self, build: &[AssetVersion]) -> Result<SiteFile, PublishError> {
        self.read_site_file(site_file::find(build).map(|version| version.blob.id)).await
    }

    /// What a site file declares; nothing without one.
    pub(super) async fn read_site_file(&self, blob: Option<BlobId>) -> Result<SiteFile, PublishError> {
        let Some(blob) = blob else { return Ok(SiteFile::default()) };
        let blob = self.shared.blobs.open_blob(blob).await?;
        let work = tokio::task::spawn_blocking(move || Ok(SiteFile::parse(&blob.verified()?)?));
        work.await.unwrap_or(Err(PublishError::Stopping))
    }
}

/// What is named in a request, but is not there, is wrong with the request.
fn unknown(error: PublishError) -> PublishError {
    match error {
        PublishError::NotFound { noun, name } => PublishError::Unknown { noun, name },
        other => other,
    }
}

/// Dependencies as they are kept. `twilio-run` wraps the list in a further pair of quotes.
fn dependencies(given: &str) -> Result<String, PublishError> {
    let inner = given.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(given);
    let is_list = serde_json::from_str::<Vec<serde_json::Value>>(inner).is_ok();
    if is_list && inner.len() <= DEPENDENCIES_SIZE_MAX {
        return Ok(inner.to_owned());
    }
    let accepts = "a JSON list of packages with name and version, of at most 65536 bytes";
    Err(PublishError::Invalid { parameter: "Dependencies", accepts })
}

fn runtime(given: Option<String>) -> Result<String, PublishError> {
    let runtime = given.filter(|runtime| !runtime.is_empty()).unwrap_or_else(|| RUNTIME_DEFAULT.to_owned());
    if runtime.len() <= RUNTIME_MAX && runtime.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(runtime);
    }
    Err(PublishError::Invalid { parameter: "Runtime", accepts: "the name of a runtime, such as node22" })
}

/// What edges learn of a build: everything but what is private, with the header fields that are declared for it.
fn entries(build: &[AssetVersion], site_file: &SiteFile) -> Vec<manifest::Entry> {
    let served = build.iter().filter(|version| version.visibility.is_served());
    let entry = |version: &AssetVersion| {
        let mut entry = manifest::Entry {
            path: version.path.clone(),
            visibility: version.visibility,
            content_type: version.content_type.clone(),
            modified: version.created_at,
            representations: representations(&version.content_type, &version.blob, &version.derived),
            cache_control: None,
            fields: Vec::new(),
        };
        site_file.declare(&mut entry);
        entry
    };
    served.map(entry).collect()
}

/// Hashes of all representations but identity.
fn derived(entries: &[manifest::Entry]) -> Vec<Hash> {
    let representations = entries.iter().flat_map(|entry| &entry.representations);
    let derived = representations.filter(|representation| !representation.encoding.is_empty());
    derived.map(|representation| representation.blob.hash).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_lose_the_quotes_that_a_client_puts_around_them() {
        let list = r#"[{"name":"twilio","version":"5.3.0"}]"#;
        assert_eq!(dependencies(list).expect("a list"), list);
        assert_eq!(dependencies(&format!("\"{list}\"")).expect("a list"), list);
        assert_eq!(dependencies("\"[]\"").expect("a list"), "[]");
        for wrong in ["", "{}", "\"", "[", "null"] {
            assert!(dependencies(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_runtime_is_a_word() {
        assert_eq!(runtime(None).expect("the default"), RUNTIME_DEFAULT);
        assert_eq!(runtime(Some("node24".into())).expect("a word"), "node24");
        assert!(runtime(Some("no de".into())).is_err());
    }
}
