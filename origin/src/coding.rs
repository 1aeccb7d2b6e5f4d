//! Content codings: which media types gain by being compressed, and compressing them. Pure; takes processor time.
//!
//! The same bytes at the same level give the same coded bytes. Small inputs get dense levels: they are coded once and sent often.
//! Larger ones would take many seconds that way.

use crate::config::{Compression, Levels};
use flate2::write::GzEncoder;
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// What a coded form saves at least: less would not pay for `Content-Encoding`, `Vary`, and another entry in every cache.
const SAVED_BYTES_MIN: usize = 64;

/// The same in percent of the input.
const SAVED_PERCENT_MIN: usize = 5;

/// A content coding that representations are made in, by its registered name (RFC 9110 §8.4.1, RFC 7932, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Coding {
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
    /// `gzip`
    Gzip,
}

impl Coding {
    /// All of them, the densest first.
    pub(crate) const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in `Content-Encoding`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Whether an input of `size` bytes is coded in this way.
    pub(crate) fn is_wanted(self, size: u64, settings: &Compression) -> bool {
        (1..=settings.size_max).contains(&size) && self.level(size, settings) > 0
    }

    /// The coded bytes, or `None` where they save too little.
    ///
    /// # Errors
    /// Those of the compressor, such as a want of memory.
    pub(crate) fn encode(self, input: &[u8], settings: &Compression) -> io::Result<Option<Vec<u8>>> {
        let level = self.level(input.len() as u64, settings);
        let coded = match self {
            Self::Brotli => brotli(input, level)?,
            Self::Zstd => zstd::bulk::compress(input, level)?,
            Self::Gzip => gzip(input, level)?,
        };
        Ok(is_worth_it(input.len(), coded.len()).then_some(coded))
    }

    /// The coded bytes by a fast level, for what is coded at each start.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub(crate) fn encode_quickly(self, input: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let coded = match self {
            Self::Brotli => brotli(input, 5)?,
            Self::Zstd => zstd::bulk::compress(input, 9)?,
            Self::Gzip => gzip(input, 6)?,
        };
        Ok(is_worth_it(input.len(), coded.len()).then_some(coded))
    }

    fn level(self, size: u64, settings: &Compression) -> i32 {
        let Levels { small, large } = match self {
            Self::Brotli => settings.brotli,
            Self::Zstd => settings.zstd,
            Self::Gzip => settings.gzip,
        };
        i32::from(if size <= settings.small_size_max { small } else { large })
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No coding that is made here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownCoding;

impl FromStr for Coding {
    type Err = UnknownCoding;

    fn from_str(name: &str) -> Result<Self, UnknownCoding> {
        Self::ALL.into_iter().find(|coding| coding.as_str() == name).ok_or(UnknownCoding)
    }
}

/// Whether assets of a media type get coded forms: text in all its disguises. Media are compressed already.
pub(crate) fn is_compressible(content_type: &str) -> bool {
    const OTHERS: [&str; 22] = [
        "application/dart",
        "application/ecmascript",
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/rtf",
        "application/sql",
        "application/toml",
        "application/vnd.apple.mpegurl",
        "application/vnd.ms-fontobject",
        "application/wasm",
        "application/x-javascript",
        "application/x-mpegurl",
        "application/x-ndjson",
        "application/xml",
        "application/xml-dtd",
        "application/yaml",
        "font/collection",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/x-icon",
    ];
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        // RFC 6839 §3: JSON and XML under another name.
        || ["+json", "+xml"].iter().any(|suffix| media_type.ends_with(suffix))
        || OTHERS.binary_search(&media_type.as_str()).is_ok()
}

fn is_worth_it(input: usize, coded: usize) -> bool {
    let saved_min = SAVED_BYTES_MIN.max(input / 100 * SAVED_PERCENT_MIN);
    input.saturating_sub(coded) >= saved_min
}

fn brotli(input: &[u8], quality: i32) -> io::Result<Vec<u8>> {
    // A client sets aside the window that the stream names (RFC 7932 §9.1); one beyond the input gains nothing.
    let window_log = (input.len().max(1).ilog2() as i32 + 1).clamp(10, 22);
    let params = brotli::enc::BrotliEncoderParams {
        quality,
        lgwin: window_log,
        size_hint: input.len(),
        ..Default::default()
    };
    let mut coded = Vec::new();
    brotli::BrotliCompress(&mut &input[..], &mut coded, &params)?;
    Ok(coded)
}

fn gzip(input: &[u8], level: i32) -> io::Result<Vec<u8>> {
    // Without a name and a time in its header, so that equal bytes give equal bytes (RFC 1952 §2.3.1).
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::new(level.unsigned_abs()));
    encoder.write_all(input)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// The window that a client has to have for `zstd`, as an exponent: 8 MiB (RFC 9659 §3).
    const ZSTD_WINDOW_LOG_MAX: u32 = 23;

    fn decode(coding: Coding, coded: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        let read = match coding {
            Coding::Brotli => brotli::Decompressor::new(coded, 4096).read_to_end(&mut decoded),
            Coding::Zstd => {
                let mut decoder = zstd::Decoder::new(coded).expect("a decoder");
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).expect("a window");
                decoder.read_to_end(&mut decoded)
            }
            Coding::Gzip => flate2::read::GzDecoder::new(coded).read_to_end(&mut decoded),
        };
        read.expect("decodes");
        decoded
    }

    fn text(size: usize) -> Vec<u8> {
        (0..)
            .flat_map(|line| format!("line {line} of {}\n", line * 7919 % 1013).into_bytes())
            .take(size)
            .collect()
    }

    #[test]
    fn coded_bytes_decode_to_the_input_and_are_always_the_same() {
        let settings = Compression::default();
        for size in [200, 5000, settings.small_size_max as usize, settings.small_size_max as usize + 1] {
            let input = text(size);
            for coding in Coding::ALL {
                let coded = coding.encode(&input, &settings).expect("codes").expect("text becomes smaller");
                assert_eq!(decode(coding, &coded), input, "{coding} of {size}");
                assert_eq!(
                    coding.encode(&input, &settings).expect("codes"),
                    Some(coded),
                    "{coding} of {size}"
                );
            }
        }
    }

    #[test]
    fn small_inputs_have_a_level_of_their_own_and_level_0_is_none() {
        let settings = Compression {
            small_size_max: 10,
            size_max: 20,
            brotli: Levels { small: 11, large: 0 },
            gzip: Levels { small: 0, large: 1 },
            ..Compression::default()
        };
        let wanted = |size| Coding::ALL.map(|coding| coding.is_wanted(size, &settings));
        assert_eq!(wanted(0), [false, false, false]);
        assert_eq!(wanted(10), [true, true, false]);
        assert_eq!(wanted(11), [false, true, true]);
        assert_eq!(wanted(20), [false, true, true]);
        assert_eq!(wanted(21), [false, false, false]);
    }

    #[test]
    fn the_window_of_zstd_fits_every_client_even_for_the_largest_input() {
        // The densest level that can be configured has the widest window.
        let input = text(9 << 20);
        let zstd = Levels { small: Levels::ZSTD_MAX, large: Levels::ZSTD_MAX };
        for settings in [Compression::default(), Compression { zstd, ..Compression::default() }] {
            let coded = Coding::Zstd.encode(&input, &settings).expect("codes").expect("smaller");
            assert!(decode(Coding::Zstd, &coded) == input);
        }
    }

    #[test]
    fn what_saves_too_little_is_not_kept() {
        let noise: Vec<u8> =
            (0..9000_u32).flat_map(|i| blake3::hash(&i.to_le_bytes()).as_bytes()[..1].to_vec()).collect();
        for coding in Coding::ALL {
            for input in [&noise[..], b"short", b""] {
                let coded = coding.encode(input, &Compression::default()).expect("codes");
                assert_eq!(coded, None, "{coding} of {} bytes", input.len());
            }
        }
        assert!(is_worth_it(1000, 936) && !is_worth_it(1000, 937), "64 bytes");
        assert!(is_worth_it(10_000, 9500) && !is_worth_it(10_000, 9501), "5 percent");
    }

    #[test]
    fn text_in_all_its_disguises_is_compressible_and_media_are_not() {
        let compressible = [
            "text/html; charset=utf-8",
            "text/css",
            "TEXT/PLAIN",
            "application/json",
            "application/javascript;charset=utf-8",
            "application/xml",
            "application/wasm",
            "application/manifest+json",
            "application/ld+json",
            "application/rss+xml",
            "image/svg+xml",
            "font/ttf",
            "font/otf",
            "image/x-icon",
        ];
        for media_type in compressible {
            assert!(is_compressible(media_type), "{media_type}");
        }
        let others = [
            "audio/mpeg",
            "audio/wav",
            "image/png",
            "image/jpeg",
            "video/mp4",
            "font/woff2",
            "font/woff",
            "application/pdf",
            "application/zip",
            "application/octet-stream",
            "application/jsonx",
            "",
        ];
        for media_type in others {
            assert!(!is_compressible(media_type), "{media_type}");
        }
    }

    #[test]
    fn names_are_those_that_manifests_know() {
        for coding in Coding::ALL {
            assert_eq!(coding.as_str().parse(), Ok(coding));
            assert!(skerry_proto::manifest::ENCODINGS.contains(&coding.as_str()));
        }
        assert_eq!("compress".parse::<Coding>(), Err(UnknownCoding));
    }
}
