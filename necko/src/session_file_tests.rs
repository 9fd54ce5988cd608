use std::{os::unix::fs::PermissionsExt as _, thread, time::Duration};

use http3_session::{PeerId, ResumptionToken};
use transaction::ConnectionInfo;

use super::*;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("necko-session-file-{}-{name}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("a new folder");
    folder
}

fn filled(hosts: &[&str]) -> SslTokensCache {
    let now = Clock::system().now();
    let mut tokens = SslTokensCache::default();
    for host in hosts {
        let peer = PeerId::new(&ConnectionInfo::new(host, 443), "roots");
        let token = ResumptionToken::new(vec![7; 2000], now + Duration::from_hours(1));
        tokens.put(&peer, token, now);
    }
    tokens
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_written_is_read_and_is_the_owners_alone() {
    let folder = folder("round");
    let path = folder.join("sessions");
    let (file, tokens, problem) = SessionFile::open(path.clone());
    assert_eq!((tokens.len(), problem), (0, None), "no file is an empty one");
    file.write(&filled(&["a", "b"])).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (file, tokens, problem) = SessionFile::open(path.clone());
    assert_eq!((tokens.len(), problem), (2, None));
    // Also where it was another mode before, and by way of a link.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let link = folder.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let (linked, ..) = SessionFile::open(link.clone());
    linked.write(&filled(&["c"])).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    file.write(&SslTokensCache::default()).unwrap();
    assert_eq!(SessionFile::open(path).1.len(), 0);
    assert_eq!(names(&folder), ["link", "sessions"], "nothing else is left");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_is_damaged_or_of_another_version_is_ignored_with_a_warning_and_replaced() {
    let folder = folder("damaged");
    let path = folder.join("sessions");
    SessionFile::open(path.clone()).0.write(&filled(&["a"])).unwrap();
    let good = fs::read(&path).unwrap();
    let mut newer = good.clone();
    newer[14] = 9;
    let mut changed = good.clone();
    changed[100] ^= 1;
    for (bytes, word) in [(&good[..500], "damaged"), (&changed, "damaged"), (&newer, "version")] {
        fs::write(&path, bytes).unwrap();
        let (file, tokens, problem) = SessionFile::open(path.clone());
        assert_eq!(tokens.len(), 0);
        assert!(problem.as_ref().is_some_and(|problem| problem.contains(word)), "{problem:?}");
        file.write(&filled(&["b"])).unwrap();
        assert_eq!(SessionFile::open(path.clone()).1.len(), 1);
    }
    fs::write(&path, b"").unwrap();
    let (_, tokens, problem) = SessionFile::open(path);
    assert_eq!((tokens.len(), problem), (0, None), "an empty one is new");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_is_no_session_file_is_neither_used_nor_overwritten() {
    let folder = folder("foreign");
    let thesis = folder.join("thesis.txt");
    fs::write(&thesis, "Chapter 1").unwrap();
    for path in [thesis.clone(), folder.clone(), "/dev/null".into()] {
        let (file, tokens, problem) = SessionFile::open(path);
        assert!(tokens.is_empty() && problem.is_some());
        assert_eq!(file.write(&filled(&["a"])), Ok(()));
    }
    assert_eq!(fs::read_to_string(&thesis).unwrap(), "Chapter 1");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_others_may_write_to_is_not_believed() {
    let folder = folder("others");
    let path = folder.join("sessions");
    let (file, ..) = SessionFile::open(path.clone());
    file.write(&filled(&["a"])).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o620)).unwrap();
    let (_, tokens, problem) = SessionFile::open(path);
    assert!(tokens.is_empty() && problem.unwrap().contains("others may write to it"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_file_that_can_not_be_written_is_told_and_leaves_nothing() {
    let folder = folder("missing");
    let (file, _, problem) = SessionFile::open(folder.join("no/such/folder/sessions"));
    assert_eq!(problem, None);
    assert!(file.write(&filled(&["a"])).unwrap_err().contains("no/such/folder"));
    assert_eq!(names(&folder), [""; 0]);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn of_many_that_write_at_once_one_wins_and_no_reader_sees_half_a_file() {
    let folder = folder("many");
    let path = folder.join("sessions");
    SessionFile::open(path.clone()).0.write(&filled(&["first"])).unwrap();
    thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let hosts: Vec<_> = (0..=writer * 40).map(|n| n.to_string()).collect();
                let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
                for _ in 0..15 {
                    SessionFile::open(path.clone()).0.write(&filled(&hosts)).unwrap();
                }
            });
        }
        for _ in 0..200 {
            let (_, tokens, problem) = SessionFile::open(path.clone());
            assert!(problem.is_none() && !tokens.is_empty(), "{problem:?}");
        }
    });
    assert_eq!(names(&folder), ["sessions"]);
    fs::remove_dir_all(folder).unwrap();
}
