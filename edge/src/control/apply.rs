//! Takes pointers: verifies them, fetches what they name, keeps all of it, and then shows it.

use super::environment::{Environment, Environments, Pages, page};
use super::state::{StateError, StateFolder};
use crate::fill::{FillError, Slices};
use crate::metrics::{IntegritySource, Metrics};
use bytes::Bytes;
use skerry_proto::document::{DOCUMENT_SIZE_MAX, DocumentError};
use skerry_proto::hash::Hash;
use skerry_proto::paging::Root;
use skerry_proto::pointer::{Pointer, PointerError};
use skerry_proto::signature::KeySet;
use skerry_proto::slices::BlobId;
use skerry_proto::{history, manifest, wire};
use std::collections::HashSet;
use std::sync::Arc;

/// What pointers are applied with.
pub(crate) struct Applier {
    pub(crate) keys: KeySet,
    pub(crate) state: StateFolder,
    pub(crate) slices: Arc<Slices>,
    pub(crate) environments: Arc<Environments>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why a pointer is not shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    /// It must not be: the last good one goes on serving.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// It cannot be for now: what it names cannot be had.
    #[error("what the pointer names cannot be had: {0}")]
    Fill(#[from] FillError),
    /// It cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a pointer must not be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Pointer(#[from] PointerError),
    #[error("a document that it names: {0}")]
    Document(#[from] DocumentError),
    #[error("its version is not greater than the one held")]
    NotNewer,
}

impl Refusal {
    /// A stable code for reports.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Pointer(error) => error.code(),
            Self::Document(_) => "document",
            Self::NotNewer => "not_newer",
        }
    }
}

impl Applier {
    /// Shows what was kept by the last run. What cannot be shown is logged and left to the origin's next snapshot.
    ///
    /// Returns whether everything that was kept is shown.
    pub(super) async fn restore(&self) -> bool {
        let pointers = match self.state.pointers() {
            Ok(pointers) => pointers,
            Err(error) => {
                tracing::error!(%error, "what was kept cannot be read; everything is asked for anew");
                return false;
            }
        };
        let mut whole = true;
        for signed in &pointers {
            if let Err(error) = self.apply(signed).await {
                whole = false;
                tracing::warn!(%error, "a pointer that was kept cannot be shown");
            }
        }
        whole
    }

    /// Verifies, fetches, keeps, shows. Returns the domain. A pointer that is shown already changes nothing.
    pub(super) async fn apply(&self, signed: &wire::SignedPointer) -> Result<String, ApplyError> {
        let pointer = Pointer::open(signed, &self.keys).map_err(Refusal::from)?;
        let held = self.environments.find(&pointer.domain);
        if let Some(held) = &held {
            if pointer.version == held.version {
                return Ok(pointer.domain);
            }
            if pointer.version < held.version {
                return Err(Refusal::NotNewer.into());
            }
        }
        let mut named = HashSet::new();
        let pages = self.manifest(&pointer, held.as_deref(), &mut named).await?;
        self.history(&pointer, &mut named).await?;
        self.keep(&pointer, signed, named).await?;
        let domain = pointer.domain.clone();
        self.environments.show(Arc::new(Environment::new(&pointer, pages)));
        self.metrics.environments.set(self.environments.count() as f64);
        Ok(domain)
    }

    /// Shows a domain no more.
    pub(super) async fn forget(&self, domain: &str) -> Result<(), ApplyError> {
        self.environments.forget(domain);
        self.metrics.environments.set(self.environments.count() as f64);
        let (state, domain) = (self.state.clone(), domain.to_owned());
        Ok(blocking(move || state.forget(&domain)).await?)
    }

    async fn manifest(
        &self,
        pointer: &Pointer,
        held: Option<&Environment>,
        named: &mut HashSet<Hash>,
    ) -> Result<Pages, ApplyError> {
        let Some(root) = pointer.manifest else { return Ok(Pages::default()) };
        let bytes = self.document(pointer, root, named).await?;
        match manifest::read_root(&bytes).map_err(|error| self.refuse(error))?.entries {
            Root::Single(entries) => Ok(Pages { bits: 0, pages: vec![(root, Arc::new(page(entries)))] }),
            Root::Pages { bits, pages: names } => {
                let mut pages = Vec::with_capacity(names.len());
                for (number, name) in names.into_iter().enumerate() {
                    let same = held
                        .filter(|held| held.pages.bits == bits)
                        .and_then(|held| held.pages.pages.get(number))
                        .filter(|(held, _)| *held == name);
                    if let Some((_, page)) = same {
                        named.insert(name.hash);
                        pages.push((name, Arc::clone(page)));
                        continue;
                    }
                    let bytes = self.document(pointer, name, named).await?;
                    let entries =
                        manifest::read_page(&bytes, bits, number).map_err(|error| self.refuse(error))?;
                    pages.push((name, Arc::new(page(entries))));
                }
                Ok(Pages { bits, pages })
            }
        }
    }

    /// The history is held, so that what it names can be served while the origin is away.
    async fn history(&self, pointer: &Pointer, named: &mut HashSet<Hash>) -> Result<(), ApplyError> {
        let Some(root) = pointer.history else { return Ok(()) };
        let bytes = self.document(pointer, root, named).await?;
        if let Root::Pages { bits, pages } = history::read_root(&bytes).map_err(|error| self.refuse(error))? {
            for (number, name) in pages.into_iter().enumerate() {
                let bytes = self.document(pointer, name, named).await?;
                history::read_page(&bytes, bits, number).map_err(|error| self.refuse(error))?;
            }
        }
        Ok(())
    }

    /// A document from disk, else from the origin, which then is on disk.
    async fn document(
        &self,
        pointer: &Pointer,
        blob: BlobId,
        named: &mut HashSet<Hash>,
    ) -> Result<Bytes, ApplyError> {
        named.insert(blob.hash);
        let (state, domain) = (self.state.clone(), pointer.domain.clone());
        if let Some(bytes) = blocking(move || state.document(&domain, blob)).await {
            return Ok(bytes.into());
        }
        let bytes = self.slices.document(&pointer.account_sid, blob, DOCUMENT_SIZE_MAX as u64).await?;
        let (state, domain, kept) = (self.state.clone(), pointer.domain.clone(), bytes.clone());
        blocking(move || state.keep_document(&domain, blob.hash, &kept)).await?;
        Ok(bytes)
    }

    async fn keep(
        &self,
        pointer: &Pointer,
        signed: &wire::SignedPointer,
        named: HashSet<Hash>,
    ) -> Result<(), StateError> {
        let (state, domain, signed) = (self.state.clone(), pointer.domain.clone(), signed.clone());
        blocking(move || state.keep_pointer(&domain, &signed, &named)).await
    }

    fn refuse(&self, error: DocumentError) -> ApplyError {
        self.metrics.integrity_failure(IntegritySource::Document);
        Refusal::from(error).into()
    }
}

/// Runs file work off the async workers.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
