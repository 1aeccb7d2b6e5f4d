//! HTTP Basic credentials (RFC 7617 §2): a SID and a secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of an `authorization` value at most; ours have 96.
const AUTHORIZATION_LEN_MAX: usize = 1024;

/// SID and secret of an `authorization` value; `None` for anything else.
pub(crate) fn credentials(value: &str) -> Option<(String, String)> {
    if value.len() > AUTHORIZATION_LEN_MAX {
        return None;
    }
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (sid, secret) = decoded.split_once(':')?;
    Some((sid.to_owned(), secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_sid_and_secret() {
        let encoded = STANDARD.encode("AC1:to:ken");
        let expected = Some(("AC1".to_owned(), "to:ken".to_owned()));
        assert_eq!(credentials(&format!("Basic {encoded}")), expected);
        assert_eq!(credentials(&format!("basic {encoded}")), expected);
    }

    #[test]
    fn anything_else_is_nobody() {
        let long = format!("Basic {}", "QUFB".repeat(300));
        for wrong in ["", "Basic", "Basic !!!", "Bearer QTpi", "Basic QUFB", long.as_str()] {
            assert_eq!(credentials(wrong), None, "{wrong}");
        }
    }
}
