//! Buffers for whole slices, used again by whichever thread needs one next.
//!
//! An allocator keeps blocks of this size by the dozen in a few megabytes, for each thread, and gives such a page back only when all
//! of it is free. Slices live long and end in no order, so that pages stay for what little is left in them: an edge with 32 MB of
//! memory tier had 157 to 180 MB resident after 6 GB had passed, and has 151 to 157 with these buffers. They also are in memory
//! already: a new one would be made page by page when it is first written to.
//!
//! They are in a static, against the house rules: they stand beside the allocator, and what decodes a value from disk is called with
//! nothing else at hand.

use bytes::Bytes;
use skerry_proto::slices::SLICE_SIZE;
use std::sync::{Mutex, PoisonError};

/// Buffers that are kept free at most: 8 MiB. A full memory tier gives one back for each that it takes.
const FREE_MAX: usize = 32;

static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer with room for a slice; free again when the last of the bytes that are made of it is gone.
struct Buffer(Vec<u8>);

impl Buffer {
    fn take() -> Self {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Self(free.unwrap_or_else(|| Vec::with_capacity(SLICE_SIZE)))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < FREE_MAX {
            free.push(buffer);
        }
    }
}

/// Bytes of their own, `len` at most, written by `write`. Whole slices come in buffers that are used again.
pub(super) fn filled<E>(len: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<Bytes, E> {
    if len != SLICE_SIZE {
        let mut bytes = Vec::with_capacity(len);
        write(&mut bytes)?;
        return Ok(bytes.into());
    }
    let mut buffer = Buffer::take();
    write(&mut buffer.0)?;
    Ok(Bytes::from_owner(buffer))
}

/// A copy that outlives the larger buffer that `bytes` are a part of.
pub fn copied(bytes: &[u8]) -> Bytes {
    let copied = filled(bytes.len(), |copy| {
        copy.extend_from_slice(bytes);
        Ok::<_, std::convert::Infallible>(())
    });
    match copied {
        Ok(copy) => copy,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_right_whatever_was_in_their_buffers() {
        for round in 0..100_u8 {
            for len in [0, 1, SLICE_SIZE - 1, SLICE_SIZE, SLICE_SIZE + 1] {
                let bytes = vec![round; len];
                let (copy, part) = (copied(&bytes), copied(&bytes).slice(len / 2..));
                assert!(copy == bytes && part == bytes[len / 2..]);
            }
        }
    }

    #[test]
    fn a_buffer_is_not_used_again_while_any_of_its_bytes_is_held() {
        let held: Vec<Bytes> = (0..50_u8).map(|round| copied(&vec![round; SLICE_SIZE]).slice(7..9)).collect();
        let _others: Vec<Bytes> = (0..50).map(|_| copied(&vec![255; SLICE_SIZE])).collect();
        for (round, bytes) in (0..).zip(held) {
            assert_eq!(bytes, [round; 2][..]);
        }
    }

    #[test]
    fn what_is_kept_free_is_bounded() {
        drop((0..3 * FREE_MAX).map(|_| copied(&[1; SLICE_SIZE])).collect::<Vec<_>>());
        assert!(FREE.lock().expect("no panic").len() <= FREE_MAX);
    }
}
