//! The URL that a token is compared with (RFC 9246 §2.1.15): as it was before the token was put into it, in one spelling.

use super::{PACKAGE, TokenError};
use std::borrow::Cow;

/// A token in the query of a request target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package<'a> {
    /// The token.
    pub token: &'a str,
    /// Path and query without it.
    pub target: Cow<'a, str>,
}

impl<'a> Package<'a> {
    /// Finds the token in path and query of a request.
    ///
    /// # Errors
    /// [`TokenError::Repeated`].
    pub fn find(target: &'a str) -> Result<Option<Self>, TokenError> {
        let Some(query) = target.find('?').map(|at| at + 1) else { return Ok(None) };
        let mut found = None;
        let mut start = query;
        for parameter in target[query..].split('&') {
            if let Some(value) = parameter.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('=')) {
                if found.is_some() {
                    return Err(TokenError::Repeated);
                }
                found = Some((start, start + parameter.len() - value.len()));
            }
            start += parameter.len() + 1;
        }
        Ok(found.map(|(start, value)| Self::cut(target, start, value)))
    }

    /// Takes out the parameter at `start`, whose value begins at `value`.
    fn cut(target: &'a str, start: usize, value: usize) -> Self {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let len = target[value..].bytes().take_while(|byte| is_token(*byte)).count();
        let (token, rest) = target[value..].split_at(len);
        // A sub-delimiter (RFC 3986 §2.2) behind the token goes with it; else the reserved character before it does.
        let (before, after) = match rest.bytes().next() {
            Some(next) if b"!$&'()*+,;=".contains(&next) => (start, &rest[1..]),
            _ => (start - 1, rest),
        };
        Self { token, target: Cow::Owned([&target[..before], after].concat()) }
    }

    /// Puts a token into a URL without one.
    pub fn put(url: &str, token: &str) -> String {
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}{PACKAGE}={token}")
    }
}

/// A URL in one spelling (RFC 3986 §6.2.2, §6.2.3; RFC 9110 §4.2.3): scheme and host in lower case, no default port, escapes in
/// capitals and only where they are needed, no dot segments, a path. `None` where it is no `http` or `https` URL, or where its
/// path hides a slash in an escape: a pattern would see one folder, and the asset be in another.
pub fn normalised(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
    let authority = authority.strip_suffix(':').unwrap_or(authority);
    let path = unescaped(path);
    if authority.is_empty() || path.contains("%2F") {
        return None;
    }
    let mut normal = format!("{scheme}://{authority}");
    push_path(&mut normal, &path);
    if let Some(query) = query {
        normal.push('?');
        normal.push_str(&unescaped(query));
    }
    Some(normal)
}

/// Appends a path without its dot segments (RFC 3986 §5.2.4).
fn push_path(to: &mut String, path: &str) {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if parts.peek().is_none() {
                    segments.push("");
                }
            }
            _ => segments.push(part),
        }
    }
    to.push('/');
    to.push_str(&segments.join("/"));
}

/// Escapes of unreserved characters are taken away, all others get capitals (RFC 3986 §6.2.2.1, §6.2.2.2).
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('%');
    let mut normal = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                normal.push(byte as char)
            }
            Some(byte) => normal.push_str(&format!("%{byte:02X}")),
            None => normal.push('%'),
        }
        normal.push_str(if byte.is_some() { &part[2..] } else { part });
    }
    Cow::Owned(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_and_one_separator_are_taken_out_of_the_target() {
        for (target, token, rest) in [
            ("/a?URISigningPackage=e.y.J", "e.y.J", "/a"),
            ("/a?b=1&URISigningPackage=e.y.J", "e.y.J", "/a?b=1"),
            ("/a?URISigningPackage=e.y.J&b=1", "e.y.J", "/a?b=1"),
            ("/a?b=1&URISigningPackage=e.y.J&c=2", "e.y.J", "/a?b=1&c=2"),
            ("/a?URISigningPackage=", "", "/a"),
        ] {
            let package = Package::find(target).expect("one").expect("a token");
            assert_eq!((package.token, &*package.target), (token, rest), "{target}");
        }
        for target in
            ["/a", "/a?b=1", "/a?xURISigningPackage=1", "/URISigningPackage=1", "/a?URISigningPackage"]
        {
            assert_eq!(Package::find(target), Ok(None), "{target}");
        }
        let twice = Package::find("/a?URISigningPackage=a&URISigningPackage=b");
        assert_eq!(twice, Err(TokenError::Repeated));
    }

    #[test]
    fn what_is_put_into_a_url_comes_out_again() {
        for url in ["https://h/a", "https://h/a?b=1"] {
            let signed = Package::put(url, "e.y.J");
            let package = Package::find(&signed).expect("one").expect("a token");
            assert_eq!((package.token, &*package.target), ("e.y.J", url));
        }
    }

    #[test]
    fn equal_urls_get_one_spelling() {
        // RFC 3986 §5.2.4, §5.4, §6.2.2
        for (url, normal) in [
            ("HTTPS://Example.COM:443/a", "https://example.com/a"),
            ("http://h:80", "http://h/"),
            ("https://h:/?q", "https://h/?q"),
            ("https://h:8443/a?", "https://h:8443/a?"),
            ("https://h?q=1", "https://h/?q=1"),
            ("https://h/%7euser/%c3%a9?x=%2f%41", "https://h/~user/%C3%A9?x=%2FA"),
            ("https://h/a/./b/../c", "https://h/a/c"),
            ("https://h/a/%2e%2E/c/..", "https://h/"),
            ("https://h/../../a//b/.", "https://h/a//b/"),
            ("https://h/100%/%zz/%4", "https://h/100%/%zz/%4"),
            ("https://h/a?x=../b#c", "https://h/a?x=../b"),
        ] {
            assert_eq!(normalised(url).as_deref(), Some(normal), "{url}");
            assert_eq!(normalised(normal).as_deref(), Some(normal), "again: {url}");
        }
        for wrong in ["", "/a", "ftp://h/a", "https://", "https:///a", "https://h/a%2Fb", "https://h/a%2fb"] {
            assert_eq!(normalised(wrong), None, "{wrong}");
        }
    }
}
