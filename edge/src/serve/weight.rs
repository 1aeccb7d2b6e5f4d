//! Weights of content negotiation (RFC 9110 §12.4.2), without allocation.

/// The weight among the parameters of a list member, in thousandths: 1000 where there is none, `None` where it is no weight.
pub(super) fn weight(parameters: &[u8]) -> Option<u16> {
    for parameter in parameters.split(|byte| *byte == b';') {
        if let [b'q' | b'Q', b'=', value @ ..] = parameter.trim_ascii() {
            return thousandths(value);
        }
    }
    Some(1000)
}

/// `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole @ (b'0' | b'1')] => (whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    let mut sum = u16::from(whole - b'0') * 1000;
    for (digit, place) in fraction.iter().zip([100, 10, 1]) {
        sum += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * place;
    }
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_from_0_to_1_with_three_digits_at_most() {
        // RFC 9110 §12.4.2
        let cases = [
            ("", Some(1000)),
            ("q=1", Some(1000)),
            ("q=1.000", Some(1000)),
            ("q=0", Some(0)),
            ("q=0.", Some(0)),
            (" Q=0.5 ", Some(500)),
            ("level=1; q=0.125", Some(125)),
            ("q=0.1234", None),
            ("q=1.001", None),
            ("q=2", None),
            ("q=-1", None),
            ("q=", None),
            ("q=0,5", None),
        ];
        for (parameters, expected) in cases {
            assert_eq!(weight(parameters.as_bytes()), expected, "{parameters:?}");
        }
    }
}
