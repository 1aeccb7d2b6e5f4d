//! The assets that are served: pseudo-random, so that nothing on the way can shrink them, and the same in every run.

use skerry_proto::slices::{BlobId, SliceHasher};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Sizes that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Size {
    /// 1 KiB.
    Kib1,
    /// 16 KiB.
    Kib16,
    /// 1 MiB.
    Mib1,
    /// 100 MiB, the largest asset that the default limits take.
    Mib100,
}

impl Size {
    /// All, smallest first.
    pub(crate) const ALL: [Self; 4] = [Self::Kib1, Self::Kib16, Self::Mib1, Self::Mib100];

    /// Number of bytes.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Kib1 => 1 << 10,
            Self::Kib16 => 16 << 10,
            Self::Mib1 => 1 << 20,
            Self::Mib100 => 100 << 20,
        }
    }

    /// As it is written on the command line.
    pub(crate) const fn token(self) -> &'static str {
        match self {
            Self::Kib1 => "1k",
            Self::Kib16 => "16k",
            Self::Mib1 => "1m",
            Self::Mib100 => "100m",
        }
    }

    /// As it is written in tables.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Kib1 => "1 KiB",
            Self::Kib16 => "16 KiB",
            Self::Mib1 => "1 MiB",
            Self::Mib100 => "100 MiB",
        }
    }

    /// Whether the cost of a request matters, rather than that of a byte.
    pub(crate) const fn is_small(self) -> bool {
        matches!(self, Self::Kib1 | Self::Kib16)
    }
}

/// A file on disk, and the name of its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    /// Which size it has.
    pub(crate) size: Size,
    /// Where it lies.
    pub(crate) file: PathBuf,
    /// Its hash and size.
    pub(crate) blob: BlobId,
}

impl Asset {
    /// Path in a URL.
    pub(crate) fn url_path(&self) -> String {
        format!("/{}.bin", self.size.token())
    }
}

/// Writes the assets of `sizes` into `folder`.
pub(crate) fn write_all(folder: &Path, sizes: &[Size]) -> io::Result<Vec<Asset>> {
    sizes.iter().map(|&size| write(folder, size)).collect()
}

fn write(folder: &Path, size: Size) -> io::Result<Asset> {
    let file = folder.join(format!("{}.bin", size.token()));
    let mut out = BufWriter::with_capacity(1 << 20, std::fs::File::create(&file)?);
    let mut hasher = SliceHasher::new();
    let mut random = Random::new(size.bytes());
    let mut left = size.bytes() as usize;
    while left > 0 {
        let block = random.block();
        let part = &block[..left.min(block.len())];
        hasher.update(part);
        out.write_all(part)?;
        left -= part.len();
    }
    out.into_inner()?;
    Ok(Asset { size, file, blob: hasher.finish().id })
}

/// SplitMix64: short, fast, and incompressible enough.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 8 KiB.
    pub(crate) fn block(&mut self) -> [u8; 8192] {
        let mut block = [0; 8192];
        for word in block.chunks_exact_mut(8) {
            word.copy_from_slice(&self.next().to_le_bytes());
        }
        block
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
