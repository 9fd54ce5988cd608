//! Downloads that break off and are gone on with (`-C`). Whatever ends them, nothing looks complete that is
//! not; and what is complete is one version of the resource, to the last byte.

use std::{fs, path::PathBuf};

use nix::sys::signal::Signal;
use tests::loopback::{
    DEADLINE, NeckoCommand, QuinnServer, Resource, RunningNecko, ServerProcess, TestCa, pattern,
    wait_until,
};

const LENGTH: u64 = 1_000_000;

struct Setup {
    ca: TestCa,
    server: QuinnServer,
    dir: tempfile::TempDir,
}

/// With an `ETag`, so that it can be gone on with.
fn tagged() -> Resource {
    Resource { etag: Some("\"1\""), ..Resource::default() }
}

/// As above, but it stops in the middle.
fn stopping() -> Resource {
    Resource { stops_after: Some(400_000), ..tagged() }
}

impl Setup {
    fn new(resource: Resource) -> Self {
        let ca = TestCa::new();
        let server = QuinnServer::start(&ca);
        server.set_resource(resource);
        Self { ca, server, dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn url(&self) -> String {
        self.server.url(&format!("/range/{LENGTH}"))
    }

    /// `necko fetch -C AT -o file URL`
    fn resume_at(&self, at: &str) -> NeckoCommand {
        let command = NeckoCommand::fetch_trusting(&self.ca.file()).in_dir(self.dir.path());
        command.args(["-C", at, "-o", "file", &self.url()])
    }

    fn resume(&self) -> NeckoCommand {
        self.resume_at("-")
    }

    /// Starts a command and waits until a part of the body is on the disk.
    fn start(&self, command: NeckoCommand) -> RunningNecko {
        let running = command.start();
        let part = |entry: fs::DirEntry| {
            let named = entry.file_name().to_string_lossy().ends_with(".part");
            (named && entry.metadata().ok()?.len() > 0).then_some(())
        };
        wait_until(DEADLINE, "a part is written", || {
            fs::read_dir(self.dir.path()).unwrap().find_map(|entry| part(entry.ok()?))
        });
        running
    }

    /// A download that stopped in the middle and was interrupted.
    fn interrupted(resource: &Resource) -> Self {
        let setup = Self::new(Resource { stops_after: Some(400_000), ..resource.clone() });
        let running = setup.start(setup.resume());
        running.signal(Signal::SIGINT);
        assert_eq!(running.finish().code, Some(130));
        assert_eq!(setup.names(), ["file.part", "file.part.of"]);
        setup
    }

    fn part_length(&self) -> u64 {
        fs::metadata(self.path("file.part")).unwrap().len()
    }

    /// The file is this version of the resource, and nothing else is left.
    #[track_caller]
    fn assert_complete(&self, resource: &Resource) {
        assert_eq!(self.names(), ["file"]);
        let sum = |bytes: &[u8]| pattern::sha256(bytes);
        assert_eq!(sum(&fs::read(self.path("file")).unwrap()), sum(&resource.body(LENGTH)));
    }
}

#[test]
fn an_interrupted_download_is_gone_on_with_to_the_same_sha256() {
    let setup = Setup::interrupted(&tagged());
    let length = setup.part_length();
    assert!(length > 0 && length <= 400_000, "{length}");
    setup.server.set_resource(tagged());
    let told =
        setup.resume().args(["-w", "%{http_code} %{size_download} %{filename_effective}"]).run();
    let told = String::from_utf8(told.expect_success().stdout).unwrap();
    assert_eq!(told, format!("206 {} file", LENGTH - length), "only the rest was fetched");
    setup.assert_complete(&tagged());
    // Once more: it is complete, and nothing is fetched.
    let told = setup.resume().args(["-w", "%{http_code} %{size_download}"]).run();
    assert_eq!(told.expect_success().stdout, b"416 0");
    setup.assert_complete(&tagged());
}

#[test]
fn a_killed_download_is_gone_on_with_too() {
    let setup = Setup::new(stopping());
    for _ in 0..2 {
        let running = setup.start(setup.resume());
        running.signal(Signal::SIGKILL);
        assert_eq!(running.finish().code, None);
        assert!(!setup.path("file").exists());
    }
    setup.server.set_resource(tagged());
    setup.resume().run().expect_success();
    setup.assert_complete(&tagged());
}

#[test]
fn a_download_out_of_time_is_gone_on_with_as_often_as_it_takes() {
    let setup = Setup::new(stopping());
    // In each run the server sends as much and no more; a machine too busy for that only needs more runs.
    let mut runs = 0;
    loop {
        let finished = setup.resume().args(["-m", "2"]).run();
        runs += 1;
        if finished.code == Some(0) {
            break;
        }
        assert_eq!(finished.code, Some(28), "{}", finished.stderr);
        assert!(!setup.path("file").exists());
        assert!(runs < 30, "it does not get on");
    }
    assert!(runs >= 3, "a run gets 400,000 bytes at most");
    setup.assert_complete(&tagged());
}

#[test]
fn without_c_whatever_ends_a_download_leaves_nothing_that_looks_complete() {
    let setup = Setup::new(stopping());
    let plain = || {
        let command = NeckoCommand::fetch_trusting(&setup.ca.file()).in_dir(setup.dir.path());
        command.args(["-O", &setup.url()])
    };
    let running = setup.start(plain());
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().code, Some(130));
    assert!(setup.names().is_empty());
    plain().args(["-m", "2"]).run().expect_failure(28, &["--max-time"]);
    assert!(setup.names().is_empty());
    let running = setup.start(plain());
    running.signal(Signal::SIGKILL);
    running.finish();
    assert!(!setup.path(&LENGTH.to_string()).exists());
}

#[test]
fn a_part_of_another_version_is_never_glued_to_this_one() {
    let setup = Setup::interrupted(&tagged());
    let changed = Resource { version: 77, etag: Some("\"2\""), ..Resource::default() };
    setup.server.set_resource(changed.clone());
    let finished = setup.resume().run().expect_success();
    assert!(finished.stderr.contains("file has changed on the server"), "{}", finished.stderr);
    setup.assert_complete(&changed);
}

#[test]
fn a_new_version_that_breaks_off_is_not_mixed_with_the_old_one_either() {
    let setup = Setup::interrupted(&tagged());
    let changed = Resource { version: 77, etag: Some("\"2\""), ..stopping() };
    setup.server.set_resource(changed);
    let running = setup.resume().start();
    // Its bytes are there when the first ones are the new version's.
    let start = Resource { version: 77, ..tagged() }.body(100);
    wait_until(DEADLINE, "the new version is written", || {
        fs::read(setup.path("file.part")).is_ok_and(|part| part.starts_with(&start)).then_some(())
    });
    running.signal(Signal::SIGKILL);
    running.finish();
    // Back to the first version.
    setup.server.set_resource(tagged());
    setup.resume().run().expect_success();
    setup.assert_complete(&tagged());
}

#[test]
fn a_server_that_ignores_if_range_is_found_out() {
    let setup = Setup::interrupted(&tagged());
    let length = setup.part_length();
    setup.server.set_resource(Resource {
        version: 77,
        etag: Some("\"2\""),
        ignores_if_range: true,
        ..Resource::default()
    });
    setup.resume().run().expect_failure(33, &["has changed on the server", "without -C"]);
    assert_eq!((setup.names().len(), setup.part_length()), (2, length), "nothing has changed");
}

#[test]
fn a_rest_that_begins_elsewhere_is_33() {
    let setup = Setup::interrupted(&tagged());
    let length = setup.part_length();
    setup.server.set_resource(Resource { shift: 10, ..tagged() });
    setup.resume().run().expect_failure(33, &["another part", &format!("bytes {}-", length + 10)]);
    assert_eq!((setup.names().len(), setup.part_length()), (2, length), "nothing has changed");
}

#[test]
fn a_server_without_ranges_begins_anew_or_is_33() {
    let setup = Setup::interrupted(&tagged());
    setup.server.set_resource(Resource { no_ranges: true, ..tagged() });
    setup.resume().run().expect_success();
    setup.assert_complete(&tagged());
    // What another program left can't be replaced unasked.
    fs::write(setup.path("file"), "from elsewhere").unwrap();
    setup.resume().run().expect_failure(33, &["does not send parts"]);
    assert_eq!(fs::read(setup.path("file")).unwrap(), b"from elsewhere");
}

#[test]
fn a_resource_that_can_not_be_recognised_leaves_no_part() {
    let weak = Resource { etag: Some("W/\"1\""), ..Resource::default() };
    let setup = Setup::new(Resource { stops_after: Some(400_000), ..weak.clone() });
    let running = setup.start(setup.resume());
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().code, Some(130));
    assert!(setup.names().is_empty());
    setup.server.set_resource(weak.clone());
    setup.resume().run().expect_success();
    setup.assert_complete(&weak);
}

#[test]
fn a_date_is_as_good_as_a_tag() {
    let dated = |date| Resource { last_modified: Some(date), ..Resource::default() };
    let setup = Setup::interrupted(&dated("Thu, 01 Jan 2015 00:00:00 GMT"));
    let changed = Resource { version: 5, ..dated("Fri, 02 Jan 2015 00:00:00 GMT") };
    setup.server.set_resource(changed.clone());
    setup.resume().run().expect_success();
    setup.assert_complete(&changed);
}

#[test]
fn a_partial_file_of_another_program_is_gone_on_with() {
    let resource = Resource { last_modified: Some("Thu, 01 Jan 2015 00:00:00 GMT"), ..tagged() };
    let setup = Setup::new(Resource { stops_after: Some(300_000), ..resource.clone() });
    fs::write(setup.path("file"), &resource.body(LENGTH)[..200_000]).unwrap();
    let running = setup.start(setup.resume());
    running.signal(Signal::SIGINT);
    running.finish();
    // From here on it is a part that says so.
    assert_eq!(setup.names(), ["file.part", "file.part.of"]);
    setup.server.set_resource(resource.clone());
    setup.resume().run().expect_success();
    setup.assert_complete(&resource);
}

#[test]
fn a_partial_file_older_than_the_resource_is_not_gone_on_with() {
    let setup =
        Setup::new(Resource { last_modified: Some("Thu, 01 Jan 2099 00:00:00 GMT"), ..tagged() });
    fs::write(setup.path("file"), "older").unwrap();
    setup.resume().run().expect_failure(33, &["has changed on the server"]);
    assert_eq!(fs::read(setup.path("file")).unwrap(), b"older");
}

#[test]
fn a_place_can_be_given_as_a_number() {
    let setup = Setup::new(tagged());
    fs::write(setup.path("file"), &tagged().body(LENGTH)[..500]).unwrap();
    setup.resume_at("501").run().expect_failure(36, &["file has 500 bytes", "-r 501-"]);
    setup.resume_at("400").run().expect_success();
    setup.assert_complete(&tagged());
    let command = NeckoCommand::fetch_trusting(&setup.ca.file());
    let finished = command.args(["-C", "999990", &setup.url()]).run().expect_success();
    assert_eq!(finished.stdout, tagged().body(LENGTH)[999_990..]);
}

#[test]
fn an_error_page_is_no_rest() {
    let setup = Setup::new(tagged());
    fs::write(setup.path("file"), "partial").unwrap();
    let command = NeckoCommand::fetch_trusting(&setup.ca.file()).in_dir(setup.dir.path());
    let command = command.args(["-C", "-", "-o", "file", &setup.server.url("/status/404")]);
    command.run().expect_failure(33, &["404 Not Found"]);
    assert_eq!(fs::read(setup.path("file")).unwrap(), b"partial");
}

#[test]
fn two_commands_do_not_write_to_one_part() {
    let setup = Setup::new(stopping());
    let running = setup.start(setup.resume());
    setup.resume().run().expect_failure(23, &["file.part", "another transfer"]);
    running.signal(Signal::SIGINT);
    running.finish();
    setup.server.set_resource(tagged());
    setup.resume().run().expect_success();
    setup.assert_complete(&tagged());
}

#[test]
fn a_file_of_necko_server_arrives_with_c() {
    let server = ServerProcess::start();
    let content = pattern::body(2_000_000);
    server.put("file", &content);
    let dir = tempfile::tempdir().unwrap();
    let command = NeckoCommand::fetch_trusting(&server.ca()).in_dir(dir.path());
    command.args(["-C", "-", "-O", &server.url("/file")]).run().expect_success();
    assert_eq!(
        pattern::sha256(&fs::read(dir.path().join("file")).unwrap()),
        pattern::sha256(&content)
    );
}
