//! `--compressed` and what a body's encoding may do to who reads it.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use http::Method;
use necko::{NetError, Request};
use serde_json::Value;
use tests::loopback::{
    ChosenAnswer, Client, DEADLINE, NeckoCommand, QuinnServer, ServerEvent, TestCa, block_on,
    fetch, in_a_process_of_its_own, own_resident_memory, pattern, tell,
};

fn start() -> (TestCa, QuinnServer) {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    (ca, server)
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// So many blocks of four bytes, each of which stands for 128 KiB of zeros.
fn zstd_bomb(blocks: u32) -> Vec<u8> {
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x58];
    for n in 1..=blocks {
        let header = ((128 * 1024_u32) << 3) | 2 | u32::from(n == blocks);
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(0);
    }
    bomb
}

#[test]
fn compressed_asks_and_decodes_and_the_fields_stay_as_they_came() {
    let (ca, server) = start();
    let body = gzip(&pattern::body(100_000));
    server.choose_answer(ChosenAnswer::encoded("gzip", body.clone()));
    let run = |arguments: &[&str], path: &str| {
        let command = NeckoCommand::fetch_trusting(&ca.file()).arg("-s").args(arguments);
        command.arg(server.url(path)).run().expect_success().stdout
    };
    pattern::assert_is(&run(&["--compressed"], "/answer"), 100_000);
    assert_eq!(run(&[], "/answer"), body, "as it came, unasked");
    let seen = String::from_utf8(run(&["--compressed"], "/headers")).unwrap();
    assert!(seen.contains("accept-encoding: gzip, br, zstd\n"), "{seen}");
    let head = String::from_utf8_lossy(&run(&["--compressed", "-i"], "/answer")).into_owned();
    assert!(head.contains("content-encoding: gzip\r\n"));
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    let told = run(&["--compressed", "-o", "/dev/null", "-w", "%{json}"], "/answer");
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["size_download"], body.len(), "what went over the network");
    assert_eq!(told["num_headers"], 2);
    run(&["--compressed", "-L", "-o", "/dev/null"], "/to/302/answer");
}

#[test]
fn what_is_not_in_its_coding_is_61_and_what_breaks_off_is_18() {
    let (ca, server) = start();
    let run = |codings: &str, body: &[u8]| {
        server.choose_answer(ChosenAnswer::encoded(codings, body.to_vec()));
        let command = NeckoCommand::fetch_trusting(&ca.file()).arg("--compressed");
        command.args(["-o", "/dev/null", &server.url("/answer")]).run()
    };
    run("nonsense", b"x").expect_failure(61, &["\"nonsense\" is not known"]);
    run("gzip", b"this is no gzip").expect_failure(61, &["not gzip"]);
    run("gzip, br, gzip, br, gzip", b"x").expect_failure(61, &["more than 4"]);
    let body = gzip(&pattern::body(1000));
    run("gzip", &body[..body.len() / 2]).expect_failure(18, &["gzip encoding has no end"]);
    run("gzip", b"").expect_success();
}

#[test]
fn a_bomb_of_a_gibibyte_takes_no_memory_and_can_be_aborted() {
    in_a_process_of_its_own(
        "command_compressed::a_bomb_of_a_gibibyte_takes_no_memory_and_can_be_aborted",
        4 * DEADLINE,
        || {
            let (ca, server) = start();
            let handler = Client::trusting(&ca.file()).to(server.address()).start();
            let bomb = zstd_bomb(8192);
            let length = bomb.len();
            server.choose_answer(ChosenAnswer::encoded("zstd", bomb));
            let get = || {
                let request = Request::new(Method::GET, &server.url("/answer")).unwrap();
                fetch(handler.fetch(request.decode_content(true))).unwrap()
            };
            // Whatever is made once is made now.
            let mut warm = get().into_body();
            for _ in 0..200 {
                block_on(DEADLINE, warm.chunk()).unwrap().unwrap();
            }
            drop(warm);
            let (before, mut most) = (own_resident_memory(), 0);
            let mut body = get().into_body();
            let mut decoded = 0;
            while let Some(piece) = block_on(DEADLINE, body.chunk()).unwrap() {
                if decoded % (64 << 20) == 0 {
                    most = own_resident_memory().max(most);
                }
                decoded += piece.len();
            }
            assert_eq!((decoded, body.received()), (1 << 30, length as u64));
            let grown = most.saturating_sub(before);
            tell(&format!("decoding a gibibyte took {} KiB more", grown / 1024));
            assert!(grown < 16 << 20, "{grown} bytes");
            // Who has enough cancels, and goes.
            let long = gzip(&pattern::body(20_000_000));
            server.choose_answer(ChosenAnswer::encoded("gzip", long));
            let mut body = get().into_body();
            block_on(DEADLINE, body.chunk()).unwrap().unwrap();
            body.canceller().cancel();
            let mut end = Ok(());
            while let Some(piece) = block_on(DEADLINE, body.chunk()).transpose() {
                end = piece.map(|_| ());
                if end.is_err() {
                    break;
                }
            }
            assert_eq!(end, Err(NetError::Aborted));
            server.wait_for(|event| match event {
                ServerEvent::Cancelled(path, 0x10c) if path == "/answer" => Some(()),
                _ => None,
            });
        },
    );
}
