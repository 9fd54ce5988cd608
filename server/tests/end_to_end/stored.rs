//! Uploads that are stored: whole, under their name, or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use sha2::{Digest, Sha256};

use crate::{
    command::{self, Running},
    common::{Answer, Client, Fixture, PATIENCE},
};
use server::{Config, byte_at};

/// A server with a folder for uploads, which it also serves.
fn server() -> Fixture {
    server_with(|_| {})
}

fn server_with(change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::with(|config| {
        config.uploads = Some(config.root.clone());
        change(config);
    })
}

/// The names in a folder, with the names of unfinished files.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The names of unfinished files, all of them of uploads to "/f" or "/half".
fn unfinished(folder: &Path) -> Vec<String> {
    let is_unfinished = |name: &String| name.starts_with(".f.") || name.starts_with(".half.");
    names(folder).into_iter().filter(is_unfinished).collect()
}

/// Begins an upload that does not end, and waits until some of it is on the disk.
fn half_an_upload(server: &Fixture, client: &mut Client, more: &[(&str, &str)]) -> u64 {
    let stream = client.send_body("PUT", "/half", more, 700_000, false);
    client
        .drive_until("the upload to begin", || server.snapshot().requests.upload_bytes == 700_000);
    client.drive_until("the file to be there", || unfinished(&server.root()).len() == 1);
    assert_eq!(server.snapshot().uploads, 1);
    assert_eq!(server.snapshot().uploads_unfinished, 1);
    stream
}

fn assert_nothing_left(server: &Fixture) {
    let snapshot = server.wait_until_empty();
    assert_eq!((snapshot.uploads_unfinished, snapshot.uploads_buffered_bytes), (0, 0));
    assert_eq!(snapshot.requests.uploads_stored, 0);
    assert_eq!(names(&server.root()), [""; 0]);
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn pattern_hash(length: u64) -> Vec<u8> {
    hash(&(0..length).map(byte_at).collect::<Vec<u8>>())
}

#[test]
fn bodies_of_any_size_are_stored_byte_by_byte() {
    let server = server();
    let mut client = server.client();
    for length in [0, 1024, 1_048_576, 20_000_000] {
        let (path, text) = (format!("/f%20{length}"), length.to_string());
        let file = server.root().join(format!("f {length}"));
        for (more, status) in [(&[("content-length", text.as_str())][..], 201), (&[], 204)] {
            let answer = client.put(&path, more, length);
            assert_eq!(answer.status(), status, "{length}: {answer:?}");
            assert_eq!(answer.field("x-data-received-length"), Some(text.as_str()));
            let bytes = fs::read(&file).unwrap();
            assert_eq!(bytes.len() as u64, length);
            assert_eq!(hash(&bytes), pattern_hash(length), "{length}");
        }
        let answer = client.fetch(&path);
        answer.assert_pattern(length);
        // The tag that the upload was answered with names what is served.
        let again = client.put(&path, &[("if-match", answer.field("etag").unwrap())], length);
        let tag = again.field("etag").unwrap();
        assert_eq!(client.fetch_with(&path, &[("if-none-match", tag)]).status(), 304);
    }
    client.close();
    let snapshot = server.wait_until_empty();
    let requests = snapshot.requests;
    assert_eq!(
        (requests.uploads, requests.uploads_stored, requests.uploads_cancelled),
        (12, 12, 0)
    );
    assert_eq!(names(&server.root()).len(), 4);
}

#[test]
fn a_file_is_replaced_only_when_the_new_one_is_whole() {
    let server = server();
    fs::write(server.root().join("f"), "old").unwrap();
    let mut client = server.client();
    let stream = client.send_body("PUT", "/f", &[], 300_000, false);
    client
        .drive_until("the upload to begin", || server.snapshot().requests.upload_bytes == 300_000);
    assert_eq!(client.fetch("/f").text, "old");
    // Under no name can the part be had.
    let part = unfinished(&server.root()).remove(0);
    assert_eq!(client.fetch(&format!("/{part}")).status(), 404);
    client.cancel(stream);
    client.drive_until("the file to go", || unfinished(&server.root()).is_empty());
    assert_eq!(client.fetch("/f").text, "old");
    assert_eq!(client.put("/f", &[], 5).status(), 204);
    client.fetch("/f").assert_pattern(5);
}

#[test]
fn a_post_into_a_folder_is_told_where_it_went() {
    let server = server();
    fs::create_dir(server.root().join("a b")).unwrap();
    let mut client = server.client();
    for path in ["/a%20b/", "/a%20b"] {
        let stream = client.send_body("POST", path, &[], 5000, true);
        let answer = client.answer(stream);
        assert_eq!(answer.status(), 201);
        let location = answer.field("location").unwrap();
        assert!(location.starts_with("/a%20b/upload-"), "{location}");
        client.fetch(location).assert_pattern(5000);
    }
    assert_eq!(names(&server.root().join("a b")).len(), 2);
}

#[test]
fn many_uploads_at_once_on_several_connections() {
    let server = server();
    thread::scope(|scope| {
        for n in 0..4 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.client();
                let begin = |client: &mut Client, m: u64| {
                    client.send_body("PUT", &format!("/{n}-{m}"), &[], 100_000 + m, true)
                };
                let streams: Vec<u64> = (0..20).map(|m| begin(&mut client, m)).collect();
                for stream in streams {
                    assert_eq!(client.answer(stream).status(), 201);
                }
                client.close();
            });
        }
    });
    assert_eq!(server.wait_until_empty().requests.uploads_stored, 80);
    for n in 0..4 {
        for m in 0..20 {
            let bytes = fs::read(server.root().join(format!("{n}-{m}"))).unwrap();
            assert_eq!(hash(&bytes), pattern_hash(100_000 + m));
        }
    }
    assert_eq!(names(&server.root()).len(), 80);
}

/// A reset in the middle of a body never makes a file, whether its length was announced or not.
/// Sources: <https://github.com/cloudflare/quiche/issues/2524>,
/// <https://github.com/cloudflare/quiche/issues/2277>.
#[test]
fn d2_16_d2_28_a_reset_in_the_middle_of_a_body_leaves_nothing() {
    let server = server();
    let mut client = server.client();
    for more in [&[][..], &[("content-length", "700001")], &[("content-length", "700000")]] {
        let before = server.snapshot().requests;
        let stream = client.send_body("PUT", "/half", more, 700_000, false);
        client.drive_until("the upload to begin", || {
            server.snapshot().requests.upload_bytes == before.upload_bytes + 700_000
        });
        client.cancel(stream);
        client.drive_until("the upload to end", || {
            let snapshot = server.snapshot();
            snapshot.uploads == 0 && snapshot.uploads_unfinished == 0
        });
        assert_eq!(server.snapshot().requests.uploads_cancelled, before.uploads_cancelled + 1);
        assert_eq!(names(&server.root()), [""; 0]);
    }
    client.fetch("/bytes/10").assert_pattern(10);
    client.close();
    assert_nothing_left(&server);
}

/// Reset while the server has not read everything that came: nothing stays readable.
/// Source: <https://github.com/cloudflare/quiche/pull/1796>.
#[test]
fn d2_22_a_reset_with_unread_bytes_ends_the_upload() {
    let server = server();
    let mut client = server.client();
    for _ in 0..20 {
        let stream = client.send_body("PUT", "/f", &[], 50_000_000, true);
        let before = server.snapshot().requests.upload_bytes;
        client.drive_until("much to be sent", || {
            server.snapshot().requests.upload_bytes > before + 500_000
        });
        client.cancel(stream);
    }
    client.drive_until("the uploads to end", || server.snapshot().uploads_unfinished == 0);
    assert_eq!(server.snapshot().uploads, 0);
    let turns = server.snapshot().service.turns;
    client.drive_for(Duration::from_millis(300));
    // Looking at the server takes turns, too; going round does it thousands of times.
    assert!(server.snapshot().service.turns < turns + 100);
    client.close();
    assert_nothing_left(&server);
}

/// `STOP_SENDING` for the response while the upload is open ends the upload.
/// Source: <https://github.com/oven-sh/bun/issues/42889>.
#[test]
fn d2_37_a_client_that_wants_no_answer_leaves_no_file() {
    let server = server();
    let mut client = server.client();
    let stream = half_an_upload(&server, &mut client, &[]);
    client.quic.stream_shutdown(stream, quiche::Shutdown::Read, 0x10c).unwrap();
    client.drive_until("the upload to end", || server.snapshot().uploads_unfinished == 0);
    client.drive("the server to stop the body", |client| {
        client.quic.stream_capacity(stream).is_err()
    });
    client.close();
    assert_nothing_left(&server);
}

#[test]
fn a_client_that_goes_away_leaves_nothing() {
    let server = server();
    let mut client = server.client();
    half_an_upload(&server, &mut client, &[]);
    client.close();
    assert_nothing_left(&server);
}

#[test]
fn a_client_that_vanishes_leaves_nothing() {
    let server = server_with(|config| config.idle_timeout = Duration::from_millis(500));
    let mut client = server.client();
    half_an_upload(&server, &mut client, &[]);
    drop(client);
    assert_nothing_left(&server);
}

#[test]
fn the_end_of_the_server_leaves_nothing() {
    let mut server = server_with(|config| config.shutdown_timeout = Duration::from_millis(200));
    let mut client = server.client();
    half_an_upload(&server, &mut client, &[]);
    server.control.shut_down();
    client.drive("the end", |client| client.quic.is_draining());
    assert_eq!(server.join().requests.uploads_stored, 0);
    assert_eq!(names(&server.root()), [""; 0]);
}

#[test]
fn an_upload_that_runs_is_finished_before_the_end_of_the_server() {
    let mut server = server_with(|config| config.shutdown_timeout = PATIENCE);
    let mut client = server.client();
    let stream = client.send_body("PUT", "/f", &[], 8_000_000, true);
    client.drive_until("the upload to begin", || server.snapshot().requests.upload_bytes > 0);
    server.control.shut_down();
    assert_eq!(client.answer(stream).status(), 201);
    client.drive("the end", |client| client.quic.is_draining());
    assert_eq!(server.join().requests.uploads_stored, 1);
    let bytes = fs::read(server.root().join("f")).unwrap();
    assert_eq!(hash(&bytes), pattern_hash(8_000_000));
}

#[test]
fn a_lying_content_length_stores_nothing() {
    let server = server();
    let mut client = server.client();
    for (announced, length) in
        [("10", 9), ("10", 11), ("0", 1), ("10", 3_000_000), ("3000000", 2_999_999)]
    {
        let answer = client.put("/f", &[("content-length", announced)], length);
        assert_eq!(answer.status(), 400, "{announced} {length}: {answer:?}");
    }
    // Trailers that are none are a lie as well.
    let stream = client.send_body("PUT", "/f", &[], 1000, false);
    client.drive_until("the body", || server.snapshot().requests.upload_bytes > 0);
    let trailers = [quiche::h3::Header::new(b":path", b"/")];
    let http = client.http.as_mut().unwrap();
    http.send_additional_headers(&mut client.quic, stream, &trailers, true, true).unwrap();
    assert_eq!(client.answer(stream).status(), 400);
    client.close();
    assert_nothing_left(&server);
}

#[test]
fn places_outside_of_the_folder_are_refused() {
    let server = server();
    fs::create_dir(server.root().join("sub")).unwrap();
    let outside = server.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, server.root().join(name)).unwrap();
    };
    link("../outside", "way-out");
    link("../outside/secret", "secret");
    let mut client = server.client();
    for (path, status) in [
        ("/../f", 403),
        ("/%2e%2e/f", 403),
        ("/sub/../../f", 403),
        ("/..%2ff", 400),
        ("/f%00", 400),
        ("/f%zz", 400),
        ("*", 400),
        ("/way-out/f", 403),
        ("/secret", 403),
        ("/.f.1-2.part", 403),
        ("/", 409),
        ("/sub", 409),
        ("/sub/", 409),
        ("/missing/f", 409),
    ] {
        for length in [0, 2_000_000] {
            let answer = client.put(path, &[], length);
            assert_eq!(answer.status(), status, "{path}: {answer:?}");
            assert!(answer.text.starts_with(&status.to_string()));
        }
    }
    let answer = client.put("/f", &[("content-range", "bytes 0-4/10")], 5);
    assert_eq!(answer.status(), 400);
    let answer = client.put("/f", &[("if-match", "*")], 2_000_000);
    assert_eq!(answer.status(), 412);
    client.close();
    server.wait_until_empty();
    assert_eq!(names(&server.root()), ["secret", "sub", "way-out"]);
    assert_eq!(names(&server.root().join("sub")), [""; 0]);
    assert_eq!(names(&outside), ["secret"]);
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
}

/// More early answers than streams are allowed: answered before the body ends, with the rest of the
/// body stopped, each stream is given back. Sources: <https://github.com/cloudflare/quiche/pull/2191>,
/// <https://github.com/cloudflare/quiche/issues/1968>, <https://github.com/cloudflare/quiche/pull/1631>.
#[test]
fn d2_17_d2_18_d2_21_bodies_beyond_the_limit_are_stopped_and_their_streams_given_back() {
    let server = server_with(|config| config.max_upload = Some(100_000));
    let mut client = server.client();
    for round in 0..150 {
        // Seen from the head alone, or when the body grows too long.
        let more = if round % 2 == 0 { &[][..] } else { &[("content-length", "5000000")] };
        let stream = client.send_body("PUT", "/f", more, 5_000_000, true);
        client.drive("the head", |client| client.answers[&stream].status() == 413);
        match round % 3 {
            // STOP_SENDING came: the rest is not sent.
            0 => client.drive("the stop", |client| client.quic.stream_capacity(stream).is_err()),
            1 => client.cancel(stream),
            _ => assert!(client.answer(stream).finished),
        }
    }
    let totals = server.snapshot().requests;
    assert!(totals.upload_bytes < 150 * 5_000_000 / 2, "{totals:?}");
    assert_eq!(client.put("/just", &[], 100_000).status(), 201);
    client.fetch("/just").assert_pattern(100_000);
    fs::remove_file(server.root().join("just")).unwrap();
    client.close();
    server.wait_until_empty();
    assert_eq!(names(&server.root()), [""; 0]);
}

/// Requests whose header section is everything. Sources:
/// <https://github.com/cloudflare/quiche/commit/bc8fbb12>,
/// <https://github.com/mozilla/neqo/commit/638d30105>.
#[test]
fn d2_19_d2_23_uploads_that_end_with_their_head_are_stored_and_forgotten() {
    let server = server();
    let mut client = server.client();
    for round in 0..250 {
        let stream = client.request("PUT", &format!("/{}", round % 5), &[], true);
        assert_eq!(client.answer(stream).status(), if round < 5 { 201 } else { 204 });
    }
    let snapshot = server.snapshot();
    assert!(snapshot.streams <= 232, "{}", snapshot.streams);
    client.close();
    server.wait_until_empty();
    assert_eq!(names(&server.root()), ["0", "1", "2", "3", "4"]);
}

/// A small file system, as long as it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where that is not allowed.
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(at);
        let output = mount.output().ok()?;
        output.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn assert_no_room(answer: &Answer) {
    assert_eq!(answer.status(), 507, "{answer:?}");
    assert!(answer.text.contains("no room"), "{}", answer.text);
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let server = server();
    let Some(_disk) = SmallDisk::mount(&server.root()) else {
        eprintln!("skipped: only root may mount a small file system");
        return;
    };
    let mut client = server.client();
    for more in [&[][..], &[("content-length", "20000000")]] {
        let stream = client.send_body("PUT", "/large", more, 20_000_000, true);
        assert_no_room(&client.answer(stream));
        // The rest is stopped.
        client.drive("the stop", |client| client.quic.stream_capacity(stream).is_err());
    }
    client.drive_until("the file to go", || names(&server.root()).is_empty());
    // There is room for less.
    assert_eq!(client.put("/small", &[], 500_000).status(), 201);
    client.fetch("/small").assert_pattern(500_000);
    client.close();
    server.wait_until_empty();
    assert_eq!(names(&server.root()), ["small"]);
}

/// The same without any rights: the system limits the length of files.
#[test]
fn a_limit_of_the_system_is_told_and_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (root, demo) = (at("root"), at("demo"));
    fs::create_dir(&root).unwrap();
    let arguments = [&root, "--listen", "127.0.0.1:0", "--demo-cert", &demo, "--uploads", &root];
    let program = command::command(&arguments);
    // In blocks of 512 bytes, or of 1024.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 400 && exec \"$0\" \"$@\""]);
    limited.arg(program.get_program()).args(program.get_args());
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let server = Running::start(limited);
    let mut client = Client::new(server.address, Path::new(&demo), |_| {});
    client.drive("a connection", |client| client.http.is_some());
    assert_no_room(&client.put("/large", &[], 5_000_000));
    assert_eq!(client.put("/small", &[], 100_000).status(), 201);
    client.drive_until("the file to go", || names(Path::new(&root)) == ["small"]);
    server.signal("TERM");
    client.drive("the end", |client| client.quic.is_draining());
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_folder_that_takes_no_files_is_told() {
    // Nobody may make files there, root neither.
    let folder = PathBuf::from("/sys/kernel");
    if !folder.is_dir() {
        eprintln!("skipped: there is no {}", folder.display());
        return;
    }
    let server = server_with(|config| config.uploads = Some(folder));
    let mut client = server.client();
    let answer = client.put("/f", &[], 3_000_000);
    assert_eq!(answer.status(), 403, "{answer:?}");
    assert!(answer.text.contains("may not write"), "{}", answer.text);
    client.close();
    assert_nothing_left(&server);
}

/// The end of the stream inside of a frame. The engine does not tell the server of it, so it is the
/// length that was announced which shows that something is missing.
/// Source: <https://github.com/benoitc/erlang_quic/pull/244>.
#[test]
fn d2_27_a_body_that_ends_inside_of_a_frame_is_caught_by_its_length() {
    let server = server();
    let mut client = server.client();
    let stream = client.request("PUT", "/f", &[("content-length", "100")], false);
    // DATA, a hundred bytes, of which ten are sent.
    client.quic.stream_send(stream, b"\x00\x40\x640123456789", true).unwrap();
    assert_eq!(client.answer(stream).status(), 400);
    client.close();
    assert_nothing_left(&server);
}
