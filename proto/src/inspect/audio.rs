//! ID3 tags of MPEG audio (ID3v2.3 and 2.4 §3–4, ID3v1): title and artist are what tags are for; who owned or encoded the file, and
//! remarks, are not.

use super::{Content, Findings, Kind, array, read};

/// Frames of a tag that are looked at.
const FRAMES_MAX: usize = 256;

/// Bytes of a frame that are looked at.
const FRAME_SIZE_MAX: usize = 4096;

/// Frames that tell of a person.
const PERSONAL: [(&[u8; 4], &str); 8] = [
    (b"TOWN", "File owner"),
    (b"TENC", "Encoded by"),
    (b"COMM", "Comment"),
    (b"OWNE", "Ownership"),
    (b"TRSN", "Station"),
    (b"WPUB", "Publisher's page"),
    (b"PRIV", "Private data"),
    (b"UFID", "Identifier"),
];

pub(super) fn id3(content: &dyn Content, found: &mut Findings) {
    v2(content, found);
    v1(content, found);
}

fn v2(content: &dyn Content, found: &mut Findings) {
    let Some([b'I', b'D', b'3', version @ (3 | 4), _, _, a, b, c, d]) = array::<10>(content, 0) else {
        return;
    };
    let end = 10 + u64::from(synchsafe([a, b, c, d]));
    let mut at = 10;
    for _ in 0..FRAMES_MAX {
        let Some([f0, f1, f2, f3, s0, s1, s2, s3, _, _]) = array::<10>(content, at) else { return };
        let size = match version {
            4 => synchsafe([s0, s1, s2, s3]),
            _ => u32::from_be_bytes([s0, s1, s2, s3]),
        };
        if f0 == 0 || at >= end {
            return;
        }
        let frame = [f0, f1, f2, f3];
        let bytes = || read(content, at + 10, (size as usize).min(FRAME_SIZE_MAX));
        let named = PERSONAL.iter().find(|(personal, _)| **personal == frame);
        if let Some((_, name)) = named {
            let text = text(&frame, &bytes());
            let is_machine_made = frame == *b"TENC" && (text.starts_with("LAME") || text.starts_with("Lavf"));
            if !text.is_empty() && !is_machine_made {
                found.add(Kind::Person, &format!("{name}: {text}"));
            }
        } else if f0 == b'T' {
            // An address stands where nobody looks for one.
            let text = text(&frame, &bytes());
            if is_mail_address(&text) {
                found.add(Kind::Person, &text);
            }
        }
        at += 10 + u64::from(size);
    }
}

fn v1(content: &dyn Content, found: &mut Findings) {
    let Some(at) = content.size().checked_sub(128) else { return };
    let Some(tag) = array::<128>(content, at).filter(|tag| tag.starts_with(b"TAG")) else { return };
    // Title, artist, album, year: 3 + 90 + 4 bytes; then the comment.
    let comment = String::from_utf8_lossy(tag.get(97..127).unwrap_or_default()).into_owned();
    let comment = comment.split('\0').next().unwrap_or_default().trim().to_owned();
    if !comment.is_empty() {
        found.add(Kind::Person, &format!("Comment: {comment}"));
    }
}

/// Seven bits of each byte (ID3v2.4 §6.2).
fn synchsafe(bytes: [u8; 4]) -> u32 {
    bytes.iter().fold(0, |size, byte| size << 7 | u32::from(byte & 0x7f))
}

/// The text of a frame: an encoding byte first in those that have one; a comment has a language and a title before it.
fn text(frame: &[u8; 4], bytes: &[u8]) -> String {
    let (encoding, rest) = match (frame, bytes) {
        (b"PRIV" | b"UFID" | b"WPUB", bytes) => (3, bytes),
        (b"COMM", [encoding, _, _, _, rest @ ..]) => (*encoding, rest),
        (_, [encoding, rest @ ..]) => (*encoding, rest),
        (_, []) => return String::new(),
    };
    let text = match encoding {
        1 | 2 => {
            let is_little = rest.starts_with(&[0xff, 0xfe]);
            let units = rest.chunks_exact(2).filter_map(|pair| pair.first_chunk::<2>());
            let units: Vec<u16> = units
                .map(|pair| if is_little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) })
                .filter(|unit| *unit != 0xfeff)
                .collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(rest).into_owned(),
    };
    // The title of a comment is mostly empty; what is left is one line.
    text.split('\0').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn is_mail_address(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        word.split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::super::tests::found;

    fn frame(name: &[u8; 4], bytes: &[u8]) -> Vec<u8> {
        let mut frame = name.to_vec();
        frame.extend(u32::try_from(bytes.len()).expect("small").to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(bytes);
        frame
    }

    fn tagged(frames: &[Vec<u8>]) -> Vec<u8> {
        let frames = frames.concat();
        let mut file = b"ID3\x03\0\0\0\0".to_vec();
        file.extend([
            u8::try_from(frames.len() >> 7).expect("small"),
            u8::try_from(frames.len() & 127).expect("7 bits"),
        ]);
        file.extend(frames);
        file.extend(b"\xff\xfb\x90\0");
        file
    }

    #[test]
    fn who_owned_and_encoded_a_song_is_found_and_its_artist_is_what_tags_are_for() {
        let song = tagged(&[
            frame(b"TPE1", b"\0The Band"),
            frame(b"TOWN", b"\0Jane Doe"),
            frame(b"TENC", b"\0LAME 3.100"),
            frame(b"TIT2", b"\0mail me: jane@example.com"),
            frame(b"COMM", b"\x01eng\xff\xfe\0\0\xff\xfeh\0i\0"),
        ]);
        let expected = vec![
            (Kind::Person, "Comment: hi".to_owned()),
            (Kind::Person, "File owner: Jane Doe".to_owned()),
            (Kind::Person, "mail me: jane@example.com".to_owned()),
        ];
        assert_eq!(found("/a.mp3", "audio/mpeg", &song), expected);
    }

    #[test]
    fn a_comment_at_the_end_is_found_too() {
        let mut song = b"\xff\xfb\x90\0".repeat(50);
        let mut tag = b"TAG".to_vec();
        tag.resize(97, 0);
        tag.extend(b"for Anna");
        tag.resize(128, 0);
        song.extend(tag);
        assert_eq!(found("/a.mp3", "audio/mpeg", &song), [(Kind::Person, "Comment: for Anna".to_owned())]);
    }
}
