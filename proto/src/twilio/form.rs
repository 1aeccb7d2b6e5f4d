//! The fields of a form, as they are signed: in the order of their bytes, which is that of their code points, each pair once.

use percent_encoding::percent_decode;
use std::borrow::Cow;

/// Fields that a form may have: what popular servers take. Sorting stays a matter of microseconds.
pub const FORM_FIELDS_MAX: usize = 1000;

/// A form with more fields than [`FORM_FIELDS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form has more than {FORM_FIELDS_MAX} fields")]
pub struct TooManyFields;

type Field<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Names and values of `application/x-www-form-urlencoded`, decoded, untrimmed, in the order in which they are signed.
pub(super) fn fields(form: &[u8]) -> Result<Vec<Field<'_>>, TooManyFields> {
    let mut fields: Vec<Field<'_>> = form
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .take(FORM_FIELDS_MAX + 1)
        .map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((pair, &b""[..]), |at| (&pair[..at], &pair[at + 1..]));
            (decoded(name), decoded(value))
        })
        .collect();
    if fields.len() > FORM_FIELDS_MAX {
        return Err(TooManyFields);
    }
    fields.sort_unstable();
    fields.dedup();
    Ok(fields)
}

/// Spaces are written `+`; `%` that begins no escape stands for itself.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'+') {
        return percent_decode(text).into();
    }
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(form: &str) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = fields(form.as_bytes()).expect("few fields");
        fields.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[test]
    fn fields_are_decoded_ordered_and_named_once_with_each_value() {
        let cases: [(&str, &[(&str, &str)]); 7] = [
            ("", &[]),
            ("&&", &[]),
            ("b=2&a=1", &[("a", "1"), ("b", "2")]),
            ("a=2&a=1&a=2", &[("a", "1"), ("a", "2")]),
            ("a&b=", &[("a", ""), ("b", "")]),
            ("a=+x%20+&%C3%A9=%", &[("a", " x  "), ("é", "%")]),
            // Code points, not UTF-16 units: U+1F600 comes after U+FF01.
            ("%F0%9F%98%80=1&%EF%BC%81=2", &[("！", "2"), ("😀", "1")]),
        ];
        for (form, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(pairs(form), expected, "{form:?}");
        }
    }

    #[test]
    fn a_form_with_too_many_fields_is_refused() {
        let form = |count: usize| (0..count).map(|number| format!("{number}=&")).collect::<String>();
        assert_eq!(fields(form(FORM_FIELDS_MAX).as_bytes()).map(|fields| fields.len()), Ok(FORM_FIELDS_MAX));
        assert_eq!(fields(form(FORM_FIELDS_MAX + 1).as_bytes()), Err(TooManyFields));
    }
}
