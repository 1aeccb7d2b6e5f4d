//! The pointers of an environment, signed.

use super::Publisher;
use crate::catalogue::Standing;
use crate::sid::{AccountSid, EnvironmentSid};
use prost::Message;
use skerry_proto::pointer::{Pointer, Version};

/// Of what a pointer tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) account: &'a AccountSid,
    pub(super) environment: &'a EnvironmentSid,
    pub(super) domain: &'a str,
}

impl Publisher {
    /// A pointer as it travels: what the subject shows from `version` on.
    pub(super) fn signed_pointer(
        &self,
        subject: Subject<'_>,
        version: Version,
        standing: &Standing,
        issued_at: i64,
    ) -> Vec<u8> {
        let pointer = Pointer {
            cluster_id: self.shared.catalogue.cluster_id(),
            version,
            domain: subject.domain.to_owned(),
            account_sid: subject.account.to_string(),
            environment_sid: subject.environment.to_string(),
            manifest: standing.manifest,
            history: standing.history,
            access: standing.settings.access,
            serving: standing.settings.serving,
            modified_floor: standing.modified_floor,
            issued_at,
            url_keys: standing.url_keys.clone(),
            aliases: standing.aliases.clone(),
            deleted: standing.is_deleted,
            purged: standing.purged,
        };
        pointer.sign(&self.shared.keys.signer().key).encode_to_vec()
    }
}
