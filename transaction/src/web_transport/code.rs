//! An application's error codes on the wire, and back.

use crate::ErrorCode;

/// The code that stands for 0.
const FIRST: u64 = 0x52e4_a40f_a8db;

/// Every 31st code is reserved for HTTP/3's own use (RFC 9114 §8.1: those of the form `0x1f * N + 0x21`).
const STEP: u64 = 0x1f;

/// What `RESET_STREAM` and `STOP_SENDING` carry for an application's code.
#[must_use]
pub const fn to_http3(code: u32) -> ErrorCode {
    let code = code as u64;
    ErrorCode::new(FIRST + code + code / (STEP - 1))
}

/// The application's code that these carry; 0 for one that is none of an application's, as necko has it.
#[must_use]
pub fn from_http3(code: ErrorCode) -> u32 {
    let shifted = code.value().checked_sub(FIRST).filter(|shifted| (shifted + 1) % STEP != 0);
    let code = shifted.map(|shifted| shifted - shifted / STEP);
    code.and_then(|code| u32::try_from(code).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w6_encoding_and_decoding_is_the_identity() {
        let spread = (0..32).flat_map(|bit| [(1_u32 << bit) - 1, 1 << bit, (1 << bit) + 29]);
        for code in (0..=255).chain(spread).chain([u32::MAX - 1, u32::MAX]) {
            assert_eq!(from_http3(to_http3(code)), code);
        }
    }

    #[test]
    fn w6_codes_are_those_of_necko_and_of_the_draft() {
        assert_eq!(to_http3(0).value(), 0x52e4_a40f_a8db);
        assert_eq!(to_http3(42).value(), 0x52e4_a40f_a906);
        assert_eq!(to_http3(255).value(), 0x52e4_a40f_a9e2);
        assert_eq!(to_http3(u32::MAX).value(), 0x52e5_ac98_3162);
    }

    #[test]
    fn w6_what_is_no_application_s_code_is_0() {
        let reserved = (0..100).map(|n| 0x1f * n + 0x21 + 0x1f * 2_939_850_000_000);
        for code in
            [0, 0x10c, FIRST - 1, 0x52e5_ac98_3163, (1 << 62) - 1].into_iter().chain(reserved)
        {
            assert_eq!(from_http3(ErrorCode::new(code)), 0, "{code:#x}");
        }
        let reserved = (FIRST..FIRST + 300).filter(|code| (code - 0x21) % 0x1f == 0);
        for code in reserved {
            assert_eq!(from_http3(ErrorCode::new(code)), 0, "{code:#x}");
        }
    }
}
