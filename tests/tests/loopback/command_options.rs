//! Options of the command that are curl's: names of files, ranges, several transfers, rates, and what a
//! script is told.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use socket_transport::Clock;
use tests::loopback::{
    NeckoCommand, QuinnServer, Resource, ServerEvent, ServerProcess, TestCa, pattern,
};

struct Quinn {
    ca: TestCa,
    server: QuinnServer,
    dir: tempfile::TempDir,
}

impl Quinn {
    fn new() -> Self {
        let ca = TestCa::new();
        let server = QuinnServer::start(&ca);
        Self { ca, server, dir: tempfile::tempdir().unwrap() }
    }

    /// A command in the empty folder.
    fn fetch(&self) -> NeckoCommand {
        NeckoCommand::fetch_trusting(&self.ca.file()).in_dir(self.dir.path())
    }

    fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        names(self.dir.path())
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn capital_o_takes_the_name_at_the_end_of_the_path() {
    let quinn = Quinn::new();
    let command = quinn.fetch().args(["-O", &quinn.url("/some/where/1000?query")]);
    command.run().expect_success();
    assert_eq!(quinn.names(), ["1000"]);
    pattern::assert_is(&quinn.read("1000"), 1000);
    quinn.fetch().args(["-O", &quinn.url("/dir/")]).run().expect_failure(23, &["-o FILE", "/dir/"]);
    assert_eq!(quinn.names(), ["1000"]);
}

#[test]
fn output_dir_is_where_files_go_and_create_dirs_makes_it() {
    let quinn = Quinn::new();
    let command = || {
        let command = quinn.fetch().args(["--output-dir", "a/b", "-O", "-o", "c/two"]);
        command.args([quinn.url("/1"), quinn.url("/2")])
    };
    let finished = command().run();
    assert_eq!(finished.code, Some(23), "{}", finished.stderr);
    assert!(finished.stderr.contains("make the directory first"), "{}", finished.stderr);
    assert!(quinn.names().is_empty());
    command().arg("--create-dirs").run().expect_success();
    assert_eq!((quinn.read("a/b/1").len(), quinn.read("a/b/c/two").len()), (1, 2));
    let all = quinn.fetch().args(["--remote-name-all", &quinn.url("/3"), &quinn.url("/4")]);
    all.run().expect_success();
    assert_eq!(quinn.names(), ["3", "4", "a"]);
}

#[test]
fn a_folder_that_is_a_file_is_said_to_be_one() {
    let quinn = Quinn::new();
    fs::write(quinn.dir.path().join("file"), "here").unwrap();
    for more in [&["--create-dirs"][..], &[]] {
        let command = quinn.fetch().args(["-o", "file/below", &quinn.url("/1")]).args(more);
        command.run().expect_failure(23, &["file"]);
    }
    assert_eq!((quinn.names(), quinn.read("file")), (vec!["file".to_owned()], b"here".to_vec()));
}

#[test]
fn r_fetches_parts() {
    let quinn = Quinn::new();
    let whole = pattern::body(1000);
    for (range, part) in [("0-99", &whole[..100]), ("900-", &whole[900..]), ("-10", &whole[990..])]
    {
        let command = quinn.fetch().args(["-r", range, &quinn.url("/range/1000")]);
        assert_eq!(command.run().expect_success().stdout, part, "{range}");
    }
    let several = quinn.fetch().args(["-r", "0-0,5-9, -1", &quinn.url("/headers")]).run();
    let seen = String::from_utf8(several.expect_success().stdout).unwrap();
    assert!(seen.contains("range: bytes=0-0,5-9,-1\n"), "{seen}");
    // Beyond the end there is nothing, which is the server's answer and with -f a failure.
    let beyond = quinn.fetch().args(["-f", "-r", "1000-", &quinn.url("/range/1000")]);
    beyond.run().expect_failure(22, &["416"]);
}

/// In which order the server saw requests and finished answers.
fn events(server: &QuinnServer, count: usize) -> Vec<String> {
    let seen = |event: &ServerEvent| match event {
        ServerEvent::Request(path) => Some(format!("? {path}")),
        ServerEvent::Answered(path) => Some(format!("! {path}")),
        _ => None,
    };
    (0..count).map(|_| server.wait_for(seen)).collect()
}

#[test]
fn transfers_run_one_after_the_other_over_one_connection() {
    let quinn = Quinn::new();
    let paths = ["/100001", "/100002", "/100003"];
    let command = quinn.fetch().arg("--remote-name-all").args(paths.map(|path| quinn.url(path)));
    let finished = command.run().expect_success();
    let expected: Vec<_> =
        paths.iter().flat_map(|path| [format!("? {path}"), format!("! {path}")]).collect();
    assert_eq!(events(&quinn.server, 6), expected);
    assert!(finished.stderr.contains(", 1 connection\n"), "{}", finished.stderr);
}

#[test]
fn with_capital_z_they_run_at_once() {
    let quinn = Quinn::new();
    let mut command = quinn.fetch().arg("-Z");
    for n in 0..30 {
        command = command.args(["-o", &n.to_string(), &quinn.url("/together/30")]);
    }
    // Each waits for all the others.
    command.run().expect_success();
    assert_eq!(quinn.names().len(), 30);
}

#[test]
fn each_of_several_transfers_has_its_line() {
    let quinn = Quinn::new();
    let urls = ["/1000", "/status/404", "/2000"].map(|path| quinn.url(path));
    let command = || quinn.fetch().args(["-f", "-O", "-O", "-o-"]).args(&urls);
    let finished = command().run();
    assert_eq!(finished.code, Some(22), "{}", finished.stderr);
    let lines: Vec<_> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].starts_with(&format!("200 {}: 1000 bytes in ", urls[0])), "{}", lines[0]);
    assert!(lines[0].ends_with("/s) to 1000"), "{}", lines[0]);
    assert!(lines[1].starts_with(&format!("necko: (22) {}: ", urls[1])), "{}", lines[1]);
    assert!(lines[2].starts_with(&format!("200 {}: 2000 bytes in ", urls[2])), "{}", lines[2]);
    assert!(lines[3].starts_with("2 of 3 transfers, 3000 bytes in "), "{}", lines[3]);
    // Silent: what went wrong, and nothing else.
    let finished = command().arg("-s").run();
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
}

#[test]
fn fail_early_begins_nothing_more_and_gives_up_what_runs() {
    let quinn = Quinn::new();
    let urls = ["/status/500", "/1000"].map(|path| quinn.url(path));
    let command = quinn.fetch().args(["-f", "--fail-early", "--remote-name-all"]).args(&urls);
    let finished = command.run();
    assert_eq!(finished.code, Some(22), "{}", finished.stderr);
    assert!(quinn.names().is_empty());
    let urls = ["/hang", "/status/500"].map(|path| quinn.url(path));
    let command = quinn.fetch().args(["-Z", "-f", "--fail-early", "--remote-name-all"]).args(&urls);
    let finished = command.run();
    assert_eq!(finished.code, Some(22), "{}", finished.stderr);
    assert!(finished.stderr.contains("(42)") && finished.stderr.contains("--fail-early"));
}

#[test]
fn w_tells_a_script_of_each_transfer() {
    let quinn = Quinn::new();
    let refused = "https://127.0.0.1:9/";
    let urls = [quinn.url("/1000"), quinn.url("/status/404"), refused.into(), "nonsense".into()];
    let command = quinn.fetch().args(["-s", "-w", "%{json}\\n", "-O", "-O"]).args(&urls);
    let finished = command.args(["-m", "5", "-o", "none", "-O"]).run();
    assert_eq!(finished.code, Some(7), "{}", finished.stderr);
    let told: Vec<Value> = String::from_utf8(finished.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 4);
    for (n, (told, url)) in told.iter().zip(&urls).enumerate() {
        assert_eq!((&told["urlnum"], &told["url"]), (&n.into(), &url.as_str().into()));
        assert_eq!(told["method"], "GET");
    }
    let well = &told[0];
    assert_eq!((&well["http_code"], &well["response_code"]), (&200.into(), &200.into()));
    assert_eq!((&well["exitcode"], &well["errormsg"]), (&0.into(), &Value::Null));
    assert_eq!((&well["size_download"], &well["size_upload"]), (&1000.into(), &0.into()));
    assert_eq!((&well["num_connects"], &well["http_version"]), (&1.into(), &"3".into()));
    assert_eq!((&well["filename_effective"], &well["scheme"]), (&"1000".into(), &"https".into()));
    let (first, total) = (&well["time_starttransfer"], &well["time_total"]);
    let (first, total) = (first.as_f64().unwrap(), total.as_f64().unwrap());
    assert!(0.0 < first && first <= total, "{well}");
    assert!(well["speed_download"].as_u64().unwrap() > 0, "{well}");
    // The connection was there already.
    assert_eq!((&told[1]["http_code"], &told[1]["num_connects"]), (&404.into(), &0.into()));
    assert_eq!((&told[2]["http_code"], &told[2]["exitcode"]), (&0.into(), &7.into()));
    assert!(told[2]["errormsg"].as_str().unwrap().contains("refused the connection"));
    assert_eq!(told[2]["filename_effective"], Value::Null);
    assert_eq!(told[3]["exitcode"], 3);
}

#[test]
fn w_comes_behind_the_body_and_may_be_in_a_file() {
    let quinn = Quinn::new();
    fs::write(quinn.dir.path().join("format"), "|%{http_code} %header{x-made-by}%{stderr}up\\n")
        .unwrap();
    let command = quinn.fetch().args(["-s", "-w", "@format", &quinn.url("/status/200")]);
    let finished = command.run().expect_success();
    assert_eq!(finished.stdout, b"as you wish|200 h3");
    assert_eq!(finished.stderr, "up\n");
    let format = fs::File::open(quinn.dir.path().join("format")).unwrap();
    let command = quinn.fetch().args(["-s", "-w", "@-", &quinn.url("/status/200")]);
    assert!(command.stdin(format).run().expect_success().stdout.ends_with(b"|200 h3"));
}

fn timed(command: NeckoCommand) -> (Duration, Vec<u8>) {
    let clock = Clock::system();
    let start: Instant = clock.now();
    let finished = command.run().expect_success();
    (clock.now() - start, finished.stdout)
}

#[test]
fn limit_rate_slows_a_download_and_loses_nothing() {
    let server = ServerProcess::start();
    let command = NeckoCommand::fetch_trusting(&server.ca()).args(["--limit-rate", "200K"]);
    let (took, body) = timed(command.arg(server.url("/bytes/409600")));
    pattern::assert_is(&body, 409_600);
    // How much longer a busy machine makes it is not the limit's business.
    assert!(took >= Duration::from_secs(2), "{took:?}");
}

#[test]
fn limit_rate_and_max_time_go_together() {
    let quinn = Quinn::new();
    let command =
        quinn.fetch().args(["--limit-rate", "10", "-m", "2", "-O", &quinn.url("/1000000")]);
    command.run().expect_failure(28, &["--max-time (2s)"]);
    assert!(quinn.names().is_empty(), "nothing is left");
}

#[test]
fn a_file_that_may_not_grow_is_23_and_leaves_nothing() {
    let quinn = Quinn::new();
    let ca = quinn.ca.file();
    let command = || NeckoCommand::fetch_with_files_up_to(100, &ca).in_dir(quinn.dir.path());
    let failed = command().args(["-O", &quinn.url("/1000000")]).run();
    failed.expect_failure(23, &["1000000", "File too large"]);
    assert!(quinn.names().is_empty(), "{:?}", quinn.names());
    // With -C, what there is stays under a name that says so.
    quinn.server.set_resource(Resource { etag: Some("\"1\""), ..Resource::default() });
    let failed = command().args(["-C", "-", "-O", &quinn.url("/range/1000000")]).run();
    failed.expect_failure(23, &["File too large"]);
    assert_eq!(quinn.names(), ["1000000.part", "1000000.part.of"]);
}

#[test]
fn a_body_that_is_too_short_is_18_and_leaves_nothing() {
    let quinn = Quinn::new();
    quinn
        .fetch()
        .args(["-O", &quinn.url("/short/5000")])
        .run()
        .expect_failure(18, &["5000 bytes of 6000"]);
    assert!(quinn.names().is_empty(), "{:?}", quinn.names());
}
