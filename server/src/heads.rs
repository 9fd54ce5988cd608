//! How large a header section may be.
//!
//! ```text
//!    decoded, each field counted with 32 bytes more (RFC 9114, 4.2.2)
//!
//!    0 ────────────── ACCEPTED ────────────────── ADVERTISED ─────────────▶
//!        served          │       431                  │   H3_EXCESSIVE_LOAD
//! ```
//!
//! The engine stops decoding at what was advertised, and then knows no answer but to close the
//! connection. So the server advertises twice what it accepts, and has room for a friendlier one.

use quiche::h3::NameValue;

/// The largest header section that is served.
const ACCEPTED: usize = 32 * 1024;
/// The largest that is read (`SETTINGS_MAX_FIELD_SECTION_SIZE`); a larger one, also one that is small
/// on the wire, closes the connection. Encoded it may have half as much again.
pub(crate) const ADVERTISED: u64 = 64 * 1024;
/// The most fields that are served: browsers send about twenty.
const FIELDS: usize = 128;

/// Whether a header or trailer section is small enough; if not, the answer's status and reason.
pub(crate) fn check_size<T: NameValue>(fields: &[T]) -> Result<(), (u16, &'static str)> {
    if fields.len() > FIELDS {
        return Err((431, "there are too many headers"));
    }
    let size: usize =
        fields.iter().map(|field| field.name().len() + field.value().len() + 32).sum();
    if size > ACCEPTED {
        return Err((431, "the headers are too large"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use quiche::h3::Header;

    use super::*;

    #[test]
    fn number_and_size_are_bounded() {
        let fields = |count, length| vec![Header::new(b"a", &vec![b'v'; length]); count];
        assert_eq!(check_size(&fields(128, 1)), Ok(()));
        assert_eq!(check_size(&fields(129, 1)).unwrap_err().0, 431);
        assert_eq!(check_size(&fields(1, 32 * 1024 - 33)), Ok(()));
        assert_eq!(check_size(&fields(1, 32 * 1024 - 32)).unwrap_err().0, 431);
    }
}
