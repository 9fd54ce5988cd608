//! A browser loads a page from necko-server.

use std::fs;

use sha2::{Digest as _, Sha256};
use tests::loopback::{Chromium, ServerProcess};

/// The fingerprint by which Chromium can be told to accept a key: SHA-256 of its SPKI, in base64.
fn fingerprint(server: &ServerProcess) -> String {
    let pem = fs::read_to_string(server.key()).unwrap();
    let key = rcgen::KeyPair::from_pem(&pem).unwrap();
    base64(&Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key)))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .chain(&[0; 2])
            .take(3)
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        for digit in 0..4 {
            let sign = char::from(DIGITS[bits >> (18 - 6 * digit) & 63]);
            text.push(if digit <= three.len() { sign } else { '=' });
        }
    }
    text
}

#[test]
fn base64_is_the_usual_one() {
    let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
    for (bytes, text) in pairs {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
}

#[test]
fn chromium_loads_a_page_and_what_belongs_to_it() {
    let Some(chromium) = Chromium::find() else { return };
    let server = ServerProcess::start();
    server.put("index.html", b"<!doctype html><p id=said>nothing</p><script src=/say.js></script>");
    server.put("say.js", b"document.querySelector('#said').textContent = 'loaded over HTTP/3'");
    let page = chromium.load(server.address(), "/index.html", &fingerprint(&server));
    assert!(page.contains("loaded over HTTP/3"), "{page}");
    // The server speaks nothing but HTTP/3.
    assert!(server.snapshot()["totals"]["requests"].as_u64() >= Some(2));
}
