//! The key under which NSS keeps the secret that is in each resumption token.
//!
//! NSS never shows that secret, not even in a token: there it is encrypted with a "wrapping key" of the process,
//! which NSS makes up when it needs one. So no token would be of use in another process. Here the key is chosen
//! instead, before NSS does it, and whoever keeps tokens keeps the key with them.

use std::{
    ffi::{c_int, c_uint, c_ulong, c_void},
    fmt, io,
    ptr::null_mut,
    sync::OnceLock,
};

use transaction::NetError;

/// The key; a secret like what it protects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenKey([u8; Self::LENGTH]);

impl TokenKey {
    /// Bytes of a key.
    pub const LENGTH: usize = 32;

    /// The key of these bytes; none of another number of them.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey")
    }
}

/// The key of this process: `wanted` if it is not decided yet, else what it was decided to be. Tokens that were
/// made under another key are of no use here, and whoever gives one to an engine has a handshake fail.
///
/// # Errors
/// NSS can't be started.
pub fn token_key(wanted: Option<TokenKey>) -> Result<TokenKey, NetError> {
    super::start()?;
    decide(wanted).ok_or_else(|| {
        log::error!("NSS takes no key for resumption tokens");
        let operation = "setting up the TLS library NSS";
        NetError::Socket { operation, kind: io::ErrorKind::Other }
    })
}

/// NSS has been started.
fn decide(wanted: Option<TokenKey>) -> Option<TokenKey> {
    static KEY: OnceLock<Option<TokenKey>> = OnceLock::new();
    *KEY.get_or_init(|| {
        let key = wanted.unwrap_or_else(|| TokenKey(neqo_crypto::random()));
        set_wrapping_key(key).then_some(key)
    })
}

/// Opaque types of NSS.
type Slot = c_void;
type SymKey = c_void;

#[repr(C)]
struct SecItem {
    kind: c_uint,
    data: *mut u8,
    len: c_uint,
}

/// `PK11_OriginUnwrap`: where the key is said to come from.
const ORIGIN_UNWRAP: c_uint = 4;
/// `CKM_AES_ECB`, what the key is used with: it encrypts random bytes, of a whole number of blocks.
const AES_ECB: c_ulong = 0x1081;
/// `CKA_WRAP`, what it may be used for.
const WRAP: c_ulong = 0x106;

// NSS's public functions (`pk11pub.h`), which come with neqo-crypto's libraries.
#[expect(unsafe_code, reason = "neqo-crypto has no words for it")]
unsafe extern "C" {
    fn PK11_GetInternalSlot() -> *mut Slot;
    fn PK11_ImportSymKey(
        slot: *mut Slot,
        mechanism: c_ulong,
        origin: c_uint,
        operation: c_ulong,
        key: *mut SecItem,
        pin: *mut c_void,
    ) -> *mut SymKey;
    fn PK11_SetWrapKey(slot: *mut Slot, index: c_int, key: *mut SymKey);
    fn PK11_FreeSymKey(key: *mut SymKey);
    fn PK11_FreeSlot(slot: *mut Slot);
}

/// Gives NSS's own slot, in which TLS computes, its wrapping key. Without effect if it has one.
#[expect(unsafe_code, reason = "neqo-crypto has no words for it")]
fn set_wrapping_key(mut key: TokenKey) -> bool {
    let mut item = SecItem { kind: 0, data: key.0.as_mut_ptr(), len: 32 };
    // SAFETY: NSS has been started, which all of these functions need, and they may be called on any thread.
    // What they return is either null, which is looked for, or a counted reference, which is given back once.
    // `item` and the bytes that it points to outlive the call that copies them.
    unsafe {
        let slot = PK11_GetInternalSlot();
        if slot.is_null() {
            return false;
        }
        let imported =
            PK11_ImportSymKey(slot, AES_ECB, ORIGIN_UNWRAP, WRAP, &raw mut item, null_mut());
        let found = !imported.is_null();
        if found {
            // The slot has the key from here on, and the reference to it is all that is given back.
            PK11_SetWrapKey(slot, 0, imported);
            PK11_FreeSymKey(imported);
        }
        PK11_FreeSlot(slot);
        found
    }
}
