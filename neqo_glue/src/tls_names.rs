//! The names under which people know TLS's numbers.

use neqo_crypto::{
    TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256,
    TLS_GRP_EC_SECP256R1, TLS_GRP_EC_SECP384R1, TLS_GRP_EC_SECP521R1, TLS_GRP_EC_X25519,
    TLS_GRP_KEM_MLKEM768X25519,
    constants::{Cipher, Group},
};

/// A key exchange group, as in the IANA registry "TLS Supported Groups".
pub(crate) fn group(group: Group) -> String {
    match group {
        TLS_GRP_KEM_MLKEM768X25519 => "X25519MLKEM768".to_owned(),
        TLS_GRP_EC_X25519 => "x25519".to_owned(),
        TLS_GRP_EC_SECP256R1 => "secp256r1".to_owned(),
        TLS_GRP_EC_SECP384R1 => "secp384r1".to_owned(),
        TLS_GRP_EC_SECP521R1 => "secp521r1".to_owned(),
        other => format!("group 0x{other:04x}"),
    }
}

/// A cipher suite, as in the IANA registry "TLS Cipher Suites".
pub(crate) fn cipher(cipher: Cipher) -> String {
    match cipher {
        TLS_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256".to_owned(),
        TLS_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384".to_owned(),
        TLS_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256".to_owned(),
        other => format!("cipher 0x{other:04x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_are_shown_as_numbers() {
        assert_eq!(group(0x001d), "x25519");
        assert_eq!(group(0x9999), "group 0x9999");
        assert_eq!(cipher(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(cipher(0x1304), "cipher 0x1304");
    }
}
