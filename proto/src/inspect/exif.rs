//! Exif (CIPA DC-008): a TIFF structure (TIFF 6.0 §2) in which cameras write where, when, by whom and with what.

use super::{Findings, Kind};

/// Bytes of a block that are looked at; a JPEG segment has at most 64 KiB.
pub(super) const SIZE_MAX: usize = 256 << 10;

/// Entries of one directory that are looked at.
const ENTRIES_MAX: usize = 512;

const GPS_DIRECTORY: u16 = 0x8825;
const EXIF_DIRECTORY: u16 = 0x8769;

/// Tags that name somebody, or one single device.
const PERSONAL: [(u16, &str); 9] = [
    (0x013b, "Artist"),
    (0x8298, "Copyright"),
    (0x9c9d, "Author"),
    (0xa430, "Camera owner"),
    (0xa431, "Camera serial number"),
    (0xa435, "Lens serial number"),
    (0x9286, "Comment"),
    (0x010e, "Description"),
    (0x013c, "Host computer"),
];

struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

/// Looks through a TIFF structure.
pub(super) fn look(bytes: &[u8], found: &mut Findings) {
    let is_little = match bytes.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return,
    };
    let tiff = Tiff { bytes, is_little };
    let Some(first) = tiff.u32(4) else { return };
    tiff.directory(first as usize, 0, found);
}

impl Tiff<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self.is_little { u16::from_le_bytes(*bytes) } else { u16::from_be_bytes(*bytes) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self.is_little { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) })
    }

    /// A directory, and those that it names; two levels are all that Exif has.
    fn directory(&self, at: usize, depth: u8, found: &mut Findings) {
        let Some(count) = self.u16(at) else { return };
        for number in 0..usize::from(count).min(ENTRIES_MAX) {
            let entry = at + 2 + number * 12;
            let (Some(tag), Some(kind), Some(count), Some(value)) =
                (self.u16(entry), self.u16(entry + 2), self.u32(entry + 4), self.u32(entry + 8))
            else {
                return;
            };
            match tag {
                GPS_DIRECTORY => self.gps(value as usize, found),
                EXIF_DIRECTORY if depth == 0 => self.directory(value as usize, 1, found),
                _ => {
                    let Some((_, name)) = PERSONAL.iter().find(|(personal, _)| *personal == tag) else {
                        continue;
                    };
                    let text = self.text(kind, count as usize, entry + 8, value as usize);
                    if let Some(text) = text.filter(|text| !text.is_empty()) {
                        found.add(Kind::Person, &format!("{name}: {text}"));
                    }
                }
            }
        }
    }

    /// Latitude and longitude: three fractions each. A directory without them says nothing of a place.
    fn gps(&self, at: usize, found: &mut Findings) {
        let Some(count) = self.u16(at) else { return };
        let mut coordinates = [None, None];
        for number in 0..usize::from(count).min(ENTRIES_MAX) {
            let entry = at + 2 + number * 12;
            let (Some(tag), Some(value)) = (self.u16(entry), self.u32(entry + 8)) else { return };
            match tag {
                2 => coordinates[0] = self.degrees(value as usize),
                4 => coordinates[1] = self.degrees(value as usize),
                _ => {}
            }
        }
        if let [Some(latitude), Some(longitude)] = coordinates
            // Phones without a fix write zeros.
            && (latitude != 0.0 || longitude != 0.0)
        {
            // Not the place itself: it would end in logs. Two digits show that it is one.
            found.add(Kind::Location, &format!("GPS: about {latitude:.0}°, {longitude:.0}°"));
        }
    }

    fn degrees(&self, at: usize) -> Option<f64> {
        let fraction = |number: usize| {
            let (above, below) = (self.u32(at + number * 8)?, self.u32(at + number * 8 + 4)?);
            (below != 0).then(|| f64::from(above) / f64::from(below))
        };
        Some(fraction(0)? + fraction(1)? / 60.0 + fraction(2).unwrap_or(0.0) / 3600.0)
    }

    /// A text: ASCII (2), bytes (1) in UTF-16 as Windows writes them, or undefined (7) with eight bytes that name its code.
    fn text(&self, kind: u16, count: usize, inline: usize, offset: usize) -> Option<String> {
        let at = if count <= 4 { inline } else { offset };
        let bytes = self.bytes.get(at..)?.get(..count)?;
        let text = match kind {
            1 => {
                let units = bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk::<2>());
                String::from_utf16_lossy(&units.map(|pair| u16::from_le_bytes(*pair)).collect::<Vec<_>>())
            }
            2 => String::from_utf8_lossy(bytes).into_owned(),
            7 => String::from_utf8_lossy(bytes.get(8..)?).into_owned(),
            _ => return None,
        };
        Some(text.trim_matches(['\0', ' ', '\n', '\r', '\t']).to_owned())
    }
}
