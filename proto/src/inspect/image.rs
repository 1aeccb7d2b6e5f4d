//! Where images and films keep Exif and places: segments of JPEG, chunks of PNG and WebP, boxes of the ISO base media format.

use super::{Content, Findings, Kind, array, exif, read};

/// Segments, chunks or boxes that are walked at most.
const STEPS_MAX: usize = 4096;

/// Boxes within boxes that are walked.
const DEPTH_MAX: u8 = 4;

/// ITU-T T.81 §B.1.1: markers up to the first scan, each with a length, APP1 among them.
pub(super) fn jpeg(content: &dyn Content, found: &mut Findings) {
    let mut at = 2;
    for _ in 0..STEPS_MAX {
        let Some([0xff, marker, high, low]) = array::<4>(content, at) else { return };
        let size = u64::from(u16::from_be_bytes([high, low]));
        // Start of scan, end of image: nothing of interest comes after them.
        if matches!(marker, 0xda | 0xd9) || size < 2 {
            return;
        }
        if marker == 0xe1 {
            let segment = read(content, at + 4, (size - 2) as usize);
            match segment.strip_prefix(b"Exif\0\0") {
                Some(tiff) => exif::look(tiff, found),
                None => xmp(&segment, found),
            }
        }
        at += 2 + size;
    }
}

/// PNG (W3C, third edition) §5.3: length, type, data, check; `eXIf` may stand anywhere.
pub(super) fn png(content: &dyn Content, found: &mut Findings) {
    let mut at = 8;
    for _ in 0..STEPS_MAX {
        let Some([a, b, c, d, kind @ ..]) = array::<8>(content, at) else { return };
        let size = u32::from_be_bytes([a, b, c, d]);
        match &kind {
            b"eXIf" => exif::look(&read(content, at + 8, (size as usize).min(exif::SIZE_MAX)), found),
            b"tEXt" | b"iTXt" => png_text(&read(content, at + 8, (size as usize).min(exif::SIZE_MAX)), found),
            _ => {}
        }
        at += 12 + u64::from(size);
    }
}

fn png_text(bytes: &[u8], found: &mut Findings) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let (Some(keyword), Some(text)) = (parts.next(), parts.next()) else { return };
    match keyword {
        b"Author" | b"Copyright" | b"Comment" => {
            let text = String::from_utf8_lossy(text);
            found.add(Kind::Person, &format!("{}: {text}", String::from_utf8_lossy(keyword)));
        }
        b"XML:com.adobe.xmp" => xmp(text, found),
        _ => {}
    }
}

/// RIFF, as WebP has it: type, length in little endian, data padded to an even length.
pub(super) fn riff(content: &dyn Content, found: &mut Findings) {
    let mut at = 12;
    for _ in 0..STEPS_MAX {
        let Some([k0, k1, k2, k3, a, b, c, d]) = array::<8>(content, at) else { return };
        let size = u32::from_le_bytes([a, b, c, d]);
        let data = || read(content, at + 8, (size as usize).min(exif::SIZE_MAX));
        match &[k0, k1, k2, k3] {
            b"EXIF" => {
                let data = data();
                // Some writers keep the prefix that only JPEG has.
                exif::look(data.strip_prefix(b"Exif\0\0").unwrap_or(&data), found);
            }
            b"XMP " => xmp(&data(), found),
            _ => {}
        }
        at += 8 + u64::from(size) + u64::from(size & 1);
    }
}

/// A file that is a TIFF structure itself.
pub(super) fn tiff(content: &dyn Content, found: &mut Findings) {
    exif::look(&read(content, 0, exif::SIZE_MAX), found);
}

/// ISO/IEC 14496-12 §4.2: boxes. Films keep a place in `moov/udta/©xyz` (QuickTime) or `loci` (3GPP); HEIC and AVIF keep Exif as an
/// item, which is found by its prefix in what `meta` points to.
pub(super) fn boxes(content: &dyn Content, found: &mut Findings) {
    let mut steps = STEPS_MAX;
    walk(content, 0, content.size(), 0, &mut steps, found);
}

fn walk(content: &dyn Content, mut at: u64, end: u64, depth: u8, steps: &mut usize, found: &mut Findings) {
    while at + 8 <= end {
        let Some(left) = steps.checked_sub(1) else { return };
        *steps = left;
        let Some([a, b, c, d, kind @ ..]) = array::<8>(content, at) else { return };
        let (size, head) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (end - at, 8),
            1 => match array::<8>(content, at + 8) {
                Some(large) => (u64::from_be_bytes(large), 16),
                None => return,
            },
            size => (u64::from(size), 8),
        };
        if size < head {
            return;
        }
        let (start, stop) = (at + head, at.saturating_add(size).min(end));
        match &kind {
            b"moov" | b"trak" | b"udta" if depth < DEPTH_MAX => {
                walk(content, start, stop, depth + 1, steps, found);
            }
            b"\xa9xyz" => {
                // A length and a language before the text (QuickTime File Format, user data text).
                let text = read(content, start + 4, 32);
                found.add(Kind::Location, &format!("recorded at about {}", rough(&text)));
            }
            b"loci" => found.add(Kind::Location, "a place of recording (loci)"),
            b"\xa9ART" | b"\xa9aut" | b"auth" => found.add(Kind::Person, "Author"),
            // Exif of HEIC and AVIF is an item in `mdat` or `idat`, mostly near its start.
            b"mdat" | b"idat" => item(&read(content, start, exif::SIZE_MAX), found),
            _ => {}
        }
        at = stop;
    }
}

/// Exif within the data of items: behind its prefix.
fn item(bytes: &[u8], found: &mut Findings) {
    const PREFIX: &[u8] = b"Exif\0\0";
    if let Some(at) = bytes.windows(PREFIX.len()).position(|window| window == PREFIX) {
        exif::look(bytes.get(at + PREFIX.len()..).unwrap_or_default(), found);
    }
}

/// `+48.8577+002.295/` (ISO 6709), without what makes it exact.
fn rough(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut rough = String::new();
    let mut is_after_point = false;
    for character in text.chars().take_while(|character| "+-.0123456789".contains(*character)) {
        is_after_point = match character {
            '+' | '-' => false,
            '.' => true,
            _ => is_after_point,
        };
        if !is_after_point {
            rough.push(character);
        }
    }
    rough
}

/// XMP (ISO 16684-1): XML; the properties that say a place or a name.
fn xmp(bytes: &[u8], found: &mut Findings) {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("exif:GPSLatitude") {
        found.add(Kind::Location, "GPS (XMP)");
    }
    for (property, name) in [
        ("dc:creator", "Creator"),
        ("aux:SerialNumber", "Camera serial number"),
        ("photoshop:AuthorsPosition", "Author"),
    ] {
        if text.contains(property) {
            found.add(Kind::Person, &format!("{name} (XMP)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::tests::found;

    /// A TIFF structure in big endian: an artist, and a GPS directory with two coordinates.
    pub(crate) fn exif() -> Vec<u8> {
        let mut tiff = b"MM\0*\0\0\0\x08".to_vec();
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            let mut entry = tag.to_be_bytes().to_vec();
            entry.extend(kind.to_be_bytes());
            entry.extend(count.to_be_bytes());
            entry.extend(value.to_be_bytes());
            entry
        };
        // Directory at 8: two entries, then the next directory (none): ends at 8 + 2 + 24 + 4 = 38.
        tiff.extend(2_u16.to_be_bytes());
        tiff.extend(entry(0x013b, 2, 9, 38));
        tiff.extend(entry(0x8825, 4, 1, 48));
        tiff.extend([0; 4]);
        tiff.extend(b"Jane Doe\0\0");
        // GPS at 48: two entries, ends at 48 + 2 + 24 + 4 = 78.
        tiff.extend(2_u16.to_be_bytes());
        tiff.extend(entry(2, 5, 3, 78));
        tiff.extend(entry(4, 5, 3, 102));
        tiff.extend([0; 4]);
        for number in [48_u32, 1, 51, 1, 0, 1, 2, 1, 17, 1, 0, 1] {
            tiff.extend(number.to_be_bytes());
        }
        tiff
    }

    fn expected() -> Vec<(Kind, String)> {
        vec![(Kind::Location, "GPS: about 49°, 2°".to_owned()), (Kind::Person, "Artist: Jane Doe".to_owned())]
    }

    #[test]
    fn a_photo_that_says_where_and_by_whom_is_found_in_each_container() {
        let exif = exif();
        let mut jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xe1".to_vec();
        jpeg.extend((u16::try_from(exif.len()).expect("small") + 8).to_be_bytes());
        jpeg.extend(b"Exif\0\0");
        jpeg.extend(&exif);
        jpeg.extend(b"\xff\xda\0\x02");
        assert_eq!(found("/a.jpg", "image/jpeg", &jpeg), expected());

        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x01IDATx\0\0\0\0".to_vec();
        png.extend(u32::try_from(exif.len()).expect("small").to_be_bytes());
        png.extend(b"eXIf");
        png.extend(&exif);
        assert_eq!(found("/a.png", "image/png", &png), expected());

        let mut webp = b"RIFF\0\0\0\0WEBPVP8 \x01\0\0\0x\0EXIF".to_vec();
        webp.extend(u32::try_from(exif.len()).expect("small").to_le_bytes());
        webp.extend(&exif);
        assert_eq!(found("/a.webp", "image/webp", &webp), expected());

        let mut heic = b"\0\0\0\x10ftypheic\0\0\0\0\0\0\0\0mdat\0\0\0\x06Exif\0\0".to_vec();
        heic.extend(&exif);
        assert_eq!(found("/a.heic", "image/heic", &heic), expected());
    }

    #[test]
    fn a_film_says_where_it_was_recorded_and_the_finding_only_roughly() {
        let mut film =
            b"\0\0\0\x10ftypmp42\0\0\0\0\0\0\0\x2emoov\0\0\0\x26udta\0\0\0\x1e\xa9xyz\0\x12\x15\xc7".to_vec();
        film.extend(b"+48.8577+002.295/\0");
        let expected = vec![(Kind::Location, "recorded at about +48+002".to_owned())];
        assert_eq!(found("/a.mp4", "video/mp4", &film), expected);
    }
}
