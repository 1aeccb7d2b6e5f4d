//! What documents take in memory once they are ready to be served: counted when they are made, from what they are made of, so that all
//! of them together can be bounded. `cargo bench -p skerry-benches -- manifest` compares it with what the allocator gave.

use super::asset::Asset;
use http::header::HeaderValue;
use std::mem::size_of;

/// What an allocation takes beside its bytes, and a reference count where it is shared: rounding of the allocator included.
const ALLOCATION: u64 = 16;

/// Bytes that something takes, with all that only it refers to.
pub(super) trait Footprint {
    fn footprint(&self) -> u64;
}

impl Footprint for Asset {
    fn footprint(&self) -> u64 {
        let mut bytes = size_of::<Self>() as u64 + ALLOCATION;
        bytes += header(&self.content_type) + header(&self.cache_control);
        bytes += self.modified.as_ref().map_or(0, |modified| header(&modified.header));
        bytes += size_of_val(&*self.representations) as u64 + ALLOCATION;
        for form in &self.representations {
            bytes += header(&form.etag) + header(&form.content_length) + header(&form.digest);
        }
        bytes += size_of_val(&*self.fields) as u64;
        bytes
            + self
                .fields
                .iter()
                .map(|(name, value)| name.as_str().len() as u64 + ALLOCATION + header(value))
                .sum::<u64>()
    }
}

fn header(value: &HeaderValue) -> u64 {
    value.len() as u64 + ALLOCATION
}

/// What a text in a box takes beside its place.
pub(super) fn text(text: &str) -> u64 {
    text.len() as u64 + ALLOCATION
}

/// What a hash table with room for so many entries takes: a byte of control beside each slot, and an eighth of the slots free.
pub(super) fn table<K, V>(capacity: usize) -> u64 {
    let slots = (capacity as u64 * 8 / 7).next_power_of_two();
    slots * (size_of::<(K, V)>() as u64 + 1)
}
