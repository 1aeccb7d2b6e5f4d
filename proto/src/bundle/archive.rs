//! The archive of a bundle: a tar (POSIX.1-1988, `ustar`) of the signed contents, then every file under its version.
//!
//! Every byte of it follows from the signed contents and the files: order, names, times, owners, modes, padding. So the same build
//! gives the same bytes, anybody's tar reads them, and nothing is parsed here when a bundle arrives: what must come is known, and
//! compared. An archive with one other byte anywhere is refused, and no name in it can lead anywhere.

use super::{Contents, File, OpenError};
use crate::document::{DOCUMENT_SIZE_MAX, DocumentError};
use crate::path::AssetPath;
use crate::signature::{KeySet, SigningKey};
use crate::slices::SliceHasher;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use std::io::{self, Chain, Cursor, Read, Write};
use std::vec;

/// Name of the signed contents in the archive.
pub const CONTENTS_NAME: &str = "bundle.contents";

/// Folder of the files in the archive.
pub const FILES_FOLDER: &str = "files";

/// A tar consists of blocks of this many bytes.
const BLOCK_SIZE: usize = 512;

/// Bytes that are read at a time.
const BUFFER_SIZE: usize = 64 << 10;

/// A bundle that is ready to be written out.
#[derive(Debug, Clone)]
pub struct Archive {
    signed: Bytes,
    contents: Contents,
}

/// A piece of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// These bytes.
    Bytes(Bytes),
    /// The bytes of the file with this number.
    File(usize),
}

impl Archive {
    /// Signs contents.
    ///
    /// # Errors
    /// [`DocumentError::TooLarge`].
    pub fn new(contents: Contents, key: &SigningKey) -> Result<Self, DocumentError> {
        Ok(Self { signed: contents.sign(key)?, contents })
    }

    /// What it holds.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Its pieces in order.
    pub fn parts(&self) -> Vec<Part> {
        parts(&self.signed, &self.contents)
    }

    /// Its bytes in all.
    pub fn size(&self) -> u64 {
        let size = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.len() as u64,
            Part::File(number) => self.contents.files.get(*number).map_or(0, |file| file.blob.size),
        };
        self.parts().iter().map(size).sum()
    }
}

/// Where a file stands in the archive, and in a folder that it was unpacked to.
pub fn name(file: &File) -> String {
    format!("{FILES_FOLDER}/{}", file.version_sid)
}

fn parts(signed: &Bytes, contents: &Contents) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut entry = |name: &str, body: Part, size: u64| {
        parts.push(Part::Bytes(header(name, size, contents.created_at)));
        parts.push(body);
        parts.push(Part::Bytes(Bytes::from(vec![0; padding(size)])));
    };
    entry(CONTENTS_NAME, Part::Bytes(signed.clone()), signed.len() as u64);
    for (number, file) in contents.files.iter().enumerate() {
        entry(&name(file), Part::File(number), file.blob.size);
    }
    // Two empty blocks end an archive.
    parts.push(Part::Bytes(Bytes::from_static(&[0; 2 * BLOCK_SIZE])));
    parts
}

/// Bytes between the end of a file and that of its last block.
fn padding(size: u64) -> usize {
    (size.next_multiple_of(BLOCK_SIZE as u64) - size) as usize
}

/// The block before a file: what `ustar` has room for. Fields are octal digits, and a NUL ends each.
fn header(name: &str, size: u64, time: i64) -> Bytes {
    let mut block = [0; BLOCK_SIZE];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644");
    put(108, b"0000000"); // owner
    put(116, b"0000000"); // group
    put(SIZE_AT, &size_field(size));
    put(136, format!("{:011o}", time.clamp(0, OCTAL_MAX as i64)).as_bytes());
    put(148, b"        "); // the sum is taken with spaces in its place
    put(156, b"0"); // an ordinary file
    put(257, b"ustar\x0000");
    put(329, b"0000000"); // device
    put(337, b"0000000");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Bytes::copy_from_slice(&block)
}

/// Where the size stands in a header.
const SIZE_AT: usize = 124;

/// The greatest number of eleven octal digits.
const OCTAL_MAX: u64 = (1 << 33) - 1;

/// Octal, and from 8 GiB on in base 256, which GNU tar introduced and every tar reads.
fn size_field(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    match size {
        0..=OCTAL_MAX => field[..11].copy_from_slice(format!("{size:011o}").as_bytes()),
        _ => {
            field[0] = 0x80;
            field[4..].copy_from_slice(&size.to_be_bytes());
        }
    }
    field
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("the bundle cannot be read")]
    Source(#[source] io::Error),
    /// It ends too early.
    #[error("the bundle ends too early")]
    Short,
    /// More follows its end.
    #[error("bytes follow the end of the bundle")]
    Long,
    /// It does not begin with the header of signed contents.
    #[error("this is no bundle")]
    NoBundle,
    /// Its contents are not accepted.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What stands between the files is not what follows from the contents.
    #[error("the bundle is not laid out as its contents say")]
    Layout,
    /// A file is not the one that the contents name.
    #[error("the bytes of {0} are not those of its hashes")]
    File(AssetPath),
    /// What was read cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which file.
        path: AssetPath,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// An archive that is being read. Nothing that comes out of it counts before [`Reader::unpack`] has returned.
#[derive(Debug)]
pub struct Reader<R> {
    source: Chain<Cursor<Bytes>, R>,
    signed: Bytes,
    contents: Contents,
}

impl<R: Read> Reader<R> {
    /// Reads and verifies the contents. Blocks, as far as `source` does.
    ///
    /// # Errors
    /// Any [`ReadError`] but those that are about files.
    pub fn open(mut source: R, keys: &KeySet) -> Result<Self, ReadError> {
        let mut begin = vec![0; BLOCK_SIZE];
        fill(&mut source, &mut begin)?;
        let len = contents_len(&begin).ok_or(ReadError::NoBundle)?;
        begin.resize(BLOCK_SIZE + len, 0);
        fill(&mut source, &mut begin[BLOCK_SIZE..])?;
        let begin = Bytes::from(begin);
        let signed = begin.slice(BLOCK_SIZE..);
        let contents = Contents::open(&signed, keys)?;
        // From the beginning again, so that the first header is compared like all others.
        Ok(Self { source: Cursor::new(begin).chain(source), signed, contents })
    }

    /// What it holds, by the origin's signature.
    pub const fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The signed contents as they came.
    pub const fn signed(&self) -> &Bytes {
        &self.signed
    }

    /// Writes every file to where `open` says, and verifies all of it to the last byte. Blocks.
    ///
    /// # Errors
    /// Any [`ReadError`]; what was written by then is not to be used.
    pub fn unpack<W: Write>(
        mut self,
        mut open: impl FnMut(&File) -> io::Result<W>,
    ) -> Result<Contents, ReadError> {
        for part in parts(&self.signed, &self.contents) {
            match part {
                Part::Bytes(expected) => {
                    let mut actual = vec![0; expected.len()];
                    fill(&mut self.source, &mut actual)?;
                    if actual != expected {
                        return Err(ReadError::Layout);
                    }
                }
                Part::File(number) => {
                    let file = &self.contents.files[number];
                    let write = |source| ReadError::Write { path: file.path.clone(), source };
                    copy(&mut self.source, file, &mut open(file).map_err(write)?)?;
                }
            }
        }
        match self.source.read(&mut [0]) {
            Ok(0) => Ok(self.contents),
            Ok(_) => Err(ReadError::Long),
            Err(error) => Err(ReadError::Source(error)),
        }
    }
}

/// The length of the contents that a first header announces, if they may be so long.
fn contents_len(header: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(&header[SIZE_AT..SIZE_AT + 11]).ok()?;
    usize::from_str_radix(digits, 8).ok().filter(|&len| len <= DOCUMENT_SIZE_MAX)
}

fn fill(source: &mut impl Read, buffer: &mut [u8]) -> Result<(), ReadError> {
    source.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Short,
        _ => ReadError::Source(error),
    })
}

/// Copies a file, and compares its hashes.
fn copy(source: &mut impl Read, file: &File, out: &mut impl Write) -> Result<(), ReadError> {
    let (mut blake3, mut sha256) = (SliceHasher::new(), Context::new(&SHA256));
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut left = file.blob.size;
    let write = |source| ReadError::Write { path: file.path.clone(), source };
    while left > 0 {
        let piece = &mut buffer[..left.min(BUFFER_SIZE as u64) as usize];
        fill(source, piece)?;
        blake3.update(piece);
        sha256.update(piece);
        out.write_all(piece).map_err(write)?;
        left -= piece.len() as u64;
    }
    out.flush().map_err(write)?;
    match blake3.finish().id == file.blob && sha256.finish().as_ref() == file.sha256 {
        true => Ok(()),
        false => Err(ReadError::File(file.path.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{contents, file, key};
    use super::*;

    const FILES: [(&str, &[u8]); 3] = [("/a.mp3", b"sound"), ("/empty", b""), ("/ünï~ 1.bin", &[9; 1300])];

    fn archive() -> (Archive, KeySet) {
        let (key, keys) = key();
        let files = (1..).zip(FILES).map(|(number, (path, bytes))| file(number, path, bytes)).collect();
        (Archive::new(contents(files), &key).expect("small"), keys)
    }

    fn written(archive: &Archive) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in archive.parts() {
            match part {
                Part::Bytes(piece) => bytes.extend_from_slice(&piece),
                Part::File(number) => bytes.extend_from_slice(FILES[number].1),
            }
        }
        bytes
    }

    fn unpack(bytes: &[u8], keys: &KeySet) -> Result<Contents, ReadError> {
        Reader::open(bytes, keys)?.unpack(|_| Ok(io::sink()))
    }

    #[test]
    fn what_was_written_is_read_back_and_has_the_size_that_was_said() {
        let (archive, keys) = archive();
        let bytes = written(&archive);
        assert_eq!(bytes.len() as u64, archive.size());
        assert_eq!(bytes.len() % BLOCK_SIZE, 0);
        let contents = unpack(&bytes, &keys).expect("verifies");
        assert_eq!(&contents, archive.contents());
    }

    #[test]
    fn one_other_bit_anywhere_is_refused() {
        let (archive, keys) = archive();
        let bytes = written(&archive);
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << (at % 8);
            assert!(unpack(&wrong, &keys).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_or_goes_on_is_refused() {
        let (archive, keys) = archive();
        let mut bytes = written(&archive);
        for len in 0..bytes.len() {
            let refused = unpack(&bytes[..len], &keys).expect_err("cut");
            assert!(matches!(refused, ReadError::Short), "{len}: {refused:?}");
        }
        bytes.push(0);
        assert!(matches!(unpack(&bytes, &keys), Err(ReadError::Long)));
    }

    #[test]
    fn a_first_header_that_announces_too_much_is_refused_before_anything_is_read() {
        let (_, keys) = archive();
        for field in [*b"77777777777\0", size_field(DOCUMENT_SIZE_MAX as u64 + 1), [0xff; 12]] {
            let mut bytes = header(CONTENTS_NAME, 0, 0).to_vec();
            bytes[SIZE_AT..SIZE_AT + 12].copy_from_slice(&field);
            assert!(matches!(unpack(&bytes, &keys), Err(ReadError::NoBundle)), "{field:?}");
        }
    }

    #[test]
    fn a_size_is_octal_as_long_as_it_fits() {
        assert_eq!(&size_field(0), b"00000000000\0");
        assert_eq!(&size_field(5), b"00000000005\0");
        assert_eq!(&size_field(OCTAL_MAX), b"77777777777\0");
        assert_eq!(size_field(OCTAL_MAX + 1), [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}
