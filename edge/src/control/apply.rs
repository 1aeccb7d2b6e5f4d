//! Takes pointers: verifies them, fetches what they name, keeps all of it, and then shows it.

use super::environment::{Documents, Environment, Environments};
use super::expelled::Expelled;
use super::footprint::Footprint;
use super::keys::TrustedKeys;
use super::overwritten::Overwritten;
use super::pages::{HistoryPage, ManifestPage, Pages};
use super::secrets::Secrets;
use super::state::{StateError, StateFolder};
use crate::fill::{FillError, Slices};
use crate::metrics::{IntegritySource, Metrics};
use bytes::Bytes;
use skerry_proto::document::{DOCUMENT_SIZE_MAX, DocumentError};
use skerry_proto::hash::Hash;
use skerry_proto::paging::Root;
use skerry_proto::pointer::{Pointer, PointerError};
use skerry_proto::slices::BlobId;
use skerry_proto::{history, manifest, purged, wire};
use std::collections::HashSet;
use std::sync::Arc;

/// What pointers are applied with.
pub(crate) struct Applier {
    pub(crate) keys: Arc<TrustedKeys>,
    pub(crate) state: StateFolder,
    pub(crate) slices: Arc<Slices>,
    pub(crate) environments: Arc<Environments>,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) expelled: Arc<Expelled>,
    /// Bytes that all documents may take in memory.
    pub(crate) documents_size_max: u64,
    pub(crate) overwritten: Overwritten,
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
    #[error(
        "with its documents, those of all domains would take more than the {bytes_max} bytes of limits.documents_size_max"
    )]
    NoRoom { bytes_max: u64 },
}

impl Refusal {
    /// A stable code for reports.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Pointer(error) => error.code(),
            Self::Document(_) => "document",
            Self::NotNewer => "not_newer",
            Self::NoRoom { .. } => "no_room",
        }
    }
}

/// Reads a page from its bytes, the bits of its root, and its number.
type ReadPage<E> = fn(&[u8], u32, usize) -> Result<Vec<E>, DocumentError>;

/// What is being taken.
struct Taking {
    /// All documents that the pointer leads to.
    named: HashSet<Hash>,
    /// Bytes of memory that are left for pages.
    room: u64,
}

/// How pages of one kind of document come into memory.
struct Reading<'a, E, P> {
    /// Those of the version before.
    held: Option<&'a Pages<P>>,
    read: ReadPage<E>,
    make: fn(Vec<E>) -> P,
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
        let chain = self.keys.chain();
        for signed in &pointers {
            let restored = match chain.open_kept(signed) {
                Ok(pointer) => self.show(signed, pointer).await.map(drop),
                Err(error) => Err(Refusal::from(error).into()),
            };
            if let Err(error) = restored {
                whole = false;
                tracing::warn!(%error, "a pointer that was kept cannot be shown");
            }
        }
        whole
    }

    /// Verifies, fetches, keeps, shows. Returns the domain. A pointer that is shown already changes nothing.
    pub(super) async fn apply(&self, signed: &wire::SignedPointer) -> Result<String, ApplyError> {
        // What is new counts only by the newest keys.
        let pointer = Pointer::open(signed, self.keys.chain().current()).map_err(Refusal::from)?;
        self.show(signed, pointer).await
    }

    /// Fetches what a verified pointer names, keeps it, shows it.
    async fn show(&self, signed: &wire::SignedPointer, pointer: Pointer) -> Result<String, ApplyError> {
        let held = self.environments.held(&pointer.domain);
        if let Some(held) = &held {
            if pointer.version == held.version {
                return Ok(pointer.domain);
            }
            if pointer.version < held.version {
                return Err(Refusal::NotNewer.into());
            }
        }
        let mut taking = Taking { named: HashSet::new(), room: self.room_beside(held.as_deref()) };
        let mut documents = self.documents(&pointer, held.as_deref(), &mut taking).await?;
        let purged = self.purged(&pointer, &mut taking).await?;
        documents.purged = purged.iter().map(|blob| blob.hash).collect::<HashSet<_, _>>().into();
        let environment = Environment::new(&pointer, documents);
        if environment.footprint() > self.room_beside(held.as_deref()) {
            return Err(self.no_room());
        }
        self.keep(&pointer, signed, taking.named).await?;
        self.slices.revoked().tell(environment.account.key, pointer.version, &environment.purged);
        let environment = Arc::new(environment);
        self.environments.show(Arc::clone(&environment));
        self.drop_purged(&environment, held.as_deref(), &purged);
        self.measure();
        Ok(pointer.domain)
    }

    /// Shows a domain no more.
    pub(super) async fn forget(&self, domain: &str) -> Result<(), ApplyError> {
        self.environments.forget(domain);
        self.measure();
        let (state, domain) = (self.state.clone(), domain.to_owned());
        Ok(blocking(move || state.forget(&domain)).await?)
    }

    /// Bytes that documents may take beside those that are shown, but for those of `held`, which go.
    fn room_beside(&self, held: Option<&Environment>) -> u64 {
        let held = held.map_or(0, Environment::footprint);
        let others = self.environments.footprint().saturating_sub(held);
        self.documents_size_max.saturating_sub(others)
    }

    fn no_room(&self) -> ApplyError {
        Refusal::NoRoom { bytes_max: self.documents_size_max }.into()
    }

    fn measure(&self) {
        self.metrics.environments.set(self.environments.count() as f64);
        self.metrics.documents_bytes.set(self.environments.footprint() as f64);
    }

    /// What the documents say that the pointer names; all of them are held then.
    async fn documents(
        &self,
        pointer: &Pointer,
        held: Option<&Environment>,
        taking: &mut Taking,
    ) -> Result<Documents, ApplyError> {
        let mut documents = Documents::default();
        if let Some(name) = pointer.manifest {
            let bytes = self.document(pointer, name, taking).await?;
            let root = manifest::read_root(&bytes).map_err(|error| self.refuse(error))?;
            documents.rules = root.rules;
            let read = Reading {
                held: held.map(|held| &held.manifest),
                read: manifest::read_page,
                make: ManifestPage::new,
            };
            documents.manifest = self.pages(pointer, name, root.entries, &read, taking).await?;
        }
        if let Some(name) = pointer.history {
            let bytes = self.document(pointer, name, taking).await?;
            let root = history::read_root(&bytes).map_err(|error| self.refuse(error))?;
            let read = Reading {
                held: held.map(|held| &held.history),
                read: history::read_page,
                make: HistoryPage::new,
            };
            documents.history = self.pages(pointer, name, root, &read, taking).await?;
        }
        Ok(documents)
    }

    /// What the account of a pointer has revoked.
    async fn purged(&self, pointer: &Pointer, taking: &mut Taking) -> Result<Vec<BlobId>, ApplyError> {
        let Some(name) = pointer.purged else { return Ok(Vec::new()) };
        let bytes = self.document(pointer, name, taking).await?;
        purged::read(&bytes).map_err(|error| self.refuse(error))
    }

    /// Drops the copies of what was revoked since the pointer before. Nothing depends on it: nobody can ask for them any more.
    fn drop_purged(&self, environment: &Environment, held: Option<&Environment>, purged: &[BlobId]) {
        let is_new = |blob: &&BlobId| held.is_none_or(|held| !held.purged.contains(&blob.hash));
        let mut new = purged.iter().filter(is_new).peekable();
        if new.peek().is_some() {
            self.overwritten.purged(environment.version, self.slices.written());
        }
        for blob in new {
            self.slices.evict(&environment.account, *blob);
        }
    }

    /// All pages of a document; those that are held already are shared.
    async fn pages<E, P: Footprint>(
        &self,
        pointer: &Pointer,
        name: BlobId,
        root: Root<E>,
        reading: &Reading<'_, E, P>,
        taking: &mut Taking,
    ) -> Result<Pages<P>, ApplyError> {
        let (bits, names) = match root {
            Root::Single(entries) => {
                return Ok(Pages::new(0, vec![(name, self.page((reading.make)(entries), taking)?)]));
            }
            Root::Pages { bits, pages } => (bits, pages),
        };
        let mut pages = Vec::with_capacity(names.len());
        for (number, name) in names.into_iter().enumerate() {
            if let Some(page) = reading.held.and_then(|held| held.same(bits, number, name)) {
                taking.named.insert(name.hash);
                taking.room = taking.room.saturating_sub(page.footprint());
                pages.push((name, Arc::clone(page)));
                continue;
            }
            let bytes = self.document(pointer, name, taking).await?;
            let entries = (reading.read)(&bytes, bits, number).map_err(|error| self.refuse(error))?;
            pages.push((name, self.page((reading.make)(entries), taking)?));
        }
        Ok(Pages::new(bits, pages))
    }

    /// A page, if there is room for it: no more than one is made in vain.
    fn page<P: Footprint>(&self, page: P, taking: &mut Taking) -> Result<Arc<P>, ApplyError> {
        let room = taking.room.checked_sub(page.footprint()).ok_or_else(|| self.no_room())?;
        taking.room = room;
        Ok(Arc::new(page))
    }

    /// A document from disk, else from the origin, which then is on disk.
    async fn document(
        &self,
        pointer: &Pointer,
        blob: BlobId,
        taking: &mut Taking,
    ) -> Result<Bytes, ApplyError> {
        taking.named.insert(blob.hash);
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
