//! What is a list of configurations and what is none.

use super::*;

fn vector(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn config(version: u16, contents: &[u8]) -> Vec<u8> {
    [&version.to_be_bytes()[..], &vector(contents)].concat()
}

fn contents(name: &[u8]) -> Vec<u8> {
    let head = [7, 0, 0x20];
    let (key, suites) = (vector(&[9; 32]), vector(&[0, 1, 0, 1]));
    let length = [64, u8::try_from(name.len()).unwrap()];
    [&head[..], &key, &suites, &length, name, &vector(&[])].concat()
}

fn list(configs: &[Vec<u8>]) -> Vec<u8> {
    vector(&configs.concat())
}

#[test]
fn a_list_with_a_known_version_is_taken_as_it_is() {
    let bytes = list(&[
        config(0xfe0a, b"of an old draft"),
        config(VERSION, &contents(b"public.example")),
        config(VERSION, &contents(b"another.example")),
    ]);
    let parsed = EchConfigList::parse(bytes.clone()).unwrap();
    assert_eq!(parsed.as_bytes(), bytes);
    assert_eq!(parsed.public_name(), "public.example");
    assert!(format!("{parsed:?}").len() < 60, "no kilobytes in a log");
}

#[test]
fn what_is_no_list_is_refused_in_words() {
    let good = list(&[config(VERSION, &contents(b"public.example"))]);
    let long = [&good[..], &[0]].concat();
    let refused = [
        (vec![], "ends before"),
        (vec![0, 0], "0xfe0d"),
        (long, "follows the list"),
        (list(&[config(0xfe0a, &contents(b"public.example"))]), "0xfe0d"),
        (list(&[config(VERSION, &contents(b""))]), "host name"),
        (list(&[config(VERSION, &contents(&[0xff, 0xfe]))]), "host name"),
        (list(&[config(VERSION, &[contents(b"public.example"), vec![1]].concat())]), "contents"),
        (list(&[config(VERSION, &[7, 0, 0x20, 0, 0, 0, 0, 64, 1, b'a', 0, 0])]), "no key"),
    ];
    for (bytes, expected) in refused {
        let error = EchConfigList::parse(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Cut short anywhere, and with any byte changed, it is read or refused, and nothing else.
#[test]
fn nothing_makes_the_reader_panic() {
    let good = list(&[config(VERSION, &contents(b"public.example")), config(1, b"x")]);
    assert!(EchConfigList::parse(good.clone()).is_ok());
    for end in 0..good.len() {
        assert!(EchConfigList::parse(good[..end].to_vec()).is_err(), "{end} bytes");
        for value in [0, 1, 0x7f, 0xff] {
            let mut bytes = good.clone();
            bytes[end] = value;
            let _ = EchConfigList::parse(bytes);
        }
    }
}
