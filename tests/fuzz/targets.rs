//! One function for each parser of bytes that come from outside. None may panic, whatever the bytes; some promise more, and check it.
//!
//! `main.rs` replays the corpus with every test run; `libfuzzer/` looks for new inputs.

use bytes::Bytes;
use skerry_proto::bundle::Contents;
use skerry_proto::bundle::archive::Reader;
use skerry_proto::join::JoinToken;
use skerry_proto::paging::Root;
use skerry_proto::path::AssetPath;
use skerry_proto::pointer::Pointer;
use skerry_proto::signature::{Context, KeySet, SigningKey};
use skerry_proto::slices::{BlobId, SliceList};
use skerry_proto::{document, history, manifest, wire};
use std::sync::LazyLock;

/// Takes any bytes; panics only where a promise is broken.
pub(crate) type Target = fn(&[u8]);

/// Every target by name, ascending; `corpus/` has a file of inputs for each.
pub(crate) const TARGETS: [(&str, Target); 8] = [
    ("asset_path", asset_path),
    ("bundle", bundle),
    ("history", history),
    ("join_token", join_token),
    ("key_set", key_set),
    ("manifest", manifest),
    ("pointer", pointer),
    ("slice_list", slice_list),
];

fn asset_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = text.parse::<AssetPath>() {
        let decoded = percent_encoding::percent_decode_str(&path.to_url_path())
            .decode_utf8()
            .expect("UTF-8")
            .into_owned();
        assert_eq!(decoded, text, "a path comes back from its URL");
    }
}

fn manifest(bytes: &[u8]) {
    let _ = manifest::read_page(bytes, 4, 3);
    let Ok(root) = manifest::read_root(bytes) else { return };
    if let Root::Single(entries) = root.entries {
        let written = manifest::write(&entries, &root.rules).expect("what was read can be written");
        let again = manifest::read_root(&written.root).expect("what was written can be read");
        assert_eq!(again.rules, root.rules);
    }
}

fn history(bytes: &[u8]) {
    let _ = history::read_page(bytes, 4, 3);
    if let Ok(Root::Single(entries)) = history::read_root(bytes) {
        history::write(&entries).expect("what was read can be written");
    }
}

fn join_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = text.parse::<JoinToken>() {
        token.to_text().parse::<JoinToken>().expect("a token survives its text");
    }
}

fn key_set(bytes: &[u8]) {
    if let Ok(set) = KeySet::decode(bytes) {
        assert_eq!(KeySet::decode(&set.encode()), Ok(set));
    }
}

/// Documents are put behind a right signature, so that their parser is reached.
static KEY: LazyLock<(SigningKey, KeySet)> = LazyLock::new(|| {
    let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("randomness")).expect("own key");
    let public = key.public_key().try_into().expect("32 bytes");
    (key, KeySet { number: 1, cluster_id: [1; 16], keys: vec![public] })
});

/// The contents of a bundle, and the beginning of an archive.
fn bundle(bytes: &[u8]) {
    let (key, keys) = &*KEY;
    assert!(Reader::open(bytes, keys).is_err(), "nobody signed this");
    let document = Bytes::copy_from_slice(bytes);
    let signature = key.sign(Context::Bundle, &document);
    let key_id = Bytes::copy_from_slice(key.id().as_bytes());
    let signed = document::encode(&wire::SignedBundle { bundle: document, signature, key_id });
    if let Ok(contents) = Contents::open(&signed, keys) {
        let signed = contents.sign(key).expect("what was read can be signed");
        assert_eq!(Contents::open(&signed, keys).expect("own contents"), contents);
    }
}

fn pointer(bytes: &[u8]) {
    let (key, keys) = &*KEY;
    let document = Bytes::copy_from_slice(bytes);
    let signature = key.sign(Context::Pointer, &document);
    let key_id = Bytes::copy_from_slice(key.id().as_bytes());
    let signed = wire::SignedPointer { pointer: document, signature, key_id };
    if let Ok(pointer) = Pointer::open(&signed, keys) {
        assert_eq!(Pointer::open(&pointer.sign(key), keys).expect("own pointer"), pointer);
    }
}

/// Size, list and one slice of a blob that nobody has.
fn slice_list(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<10>() else { return };
    let [a, b, c, d, e, f, g, h, length, index] = *head;
    let size = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let (values, slice) = rest.split_at(rest.len().min(usize::from(length) * 32));
    let mut blob = BlobId::of(slice);
    blob.size = size;
    let list =
        SliceList::trivial(blob).map_or_else(|| SliceList::verify(blob, Bytes::copy_from_slice(values)), Ok);
    if let Ok(list) = list
        && let Ok(verified) = list.check(index.into(), Bytes::copy_from_slice(slice))
    {
        assert_eq!(verified.bytes(), slice);
    }
}
