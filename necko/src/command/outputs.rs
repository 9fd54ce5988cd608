//! `-o`, `-O` and where they put a file.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use url::Url;

use super::{exit_code::ExitCode, output::Target, report::Failure};

/// The outputs, in the order of the command line: the first is for the first URL, and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outputs {
    each: Vec<Output>,
    /// A URL without an output of its own gets `-O`.
    remote_name_all: bool,
    dir: Option<PathBuf>,
    pub(crate) create_dirs: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Output {
    File(PathBuf),
    /// The last part of the URL's path.
    RemoteName,
}

impl Outputs {
    const FILE: &'static str = "output";
    const REMOTE_NAME: &'static str = "remote-name";
    const REMOTE_NAME_ALL: &'static str = "remote-name-all";
    const DIR: &'static str = "output-dir";
    const CREATE_DIRS: &'static str = "create-dirs";

    /// How many were given.
    pub(crate) fn count(&self) -> usize {
        self.each.len()
    }

    /// Where the body of the n-th URL goes.
    ///
    /// # Errors
    /// It is to have the URL's name, and the URL has none.
    pub(crate) fn target(&self, n: usize, url: &Url) -> Result<Target, Failure> {
        match self.each.get(n) {
            Some(Output::File(path)) if path.as_os_str() == "-" => {
                Ok(Target::Stdout { asked_for: true })
            }
            Some(Output::File(path)) => Ok(Target::File(self.in_dir(path))),
            None if !self.remote_name_all => Ok(Target::Stdout { asked_for: false }),
            Some(Output::RemoteName) | None => {
                Ok(Target::File(self.in_dir(Path::new(&remote_name(url)?))))
            }
        }
    }

    /// As curl does, the folder stands before every name, be it an absolute path.
    fn in_dir(&self, path: &Path) -> PathBuf {
        let Some(dir) = &self.dir else { return path.to_owned() };
        let below = path.as_os_str().as_bytes();
        let start = below.iter().take_while(|byte| **byte == b'/').count();
        dir.join(OsStr::from_bytes(below.get(start..).unwrap_or_default()))
    }
}

/// The last part of the path, as the URL writes it: with its percents, so that no server's name can lead out
/// of the folder.
fn remote_name(url: &Url) -> Result<String, Failure> {
    let last = url.path_segments().and_then(|mut segments| segments.next_back());
    match last.unwrap_or_default() {
        "" | "." | ".." => Err(Failure::new(
            ExitCode::WriteError,
            format!("{url} ends without a file name for -O; name one with -o FILE"),
        )),
        name => Ok(name.to_owned()),
    }
}

impl FromArgMatches for Outputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let files = matches.get_many::<PathBuf>(Self::FILE).into_iter().flatten();
        let places = matches.indices_of(Self::FILE).into_iter().flatten();
        let files = places.zip(files).map(|(place, file)| (place, Output::File(file.clone())));
        let names = matches.indices_of(Self::REMOTE_NAME).into_iter().flatten();
        let names = names.map(|place| (place, Output::RemoteName));
        let mut each: Vec<_> = files.chain(names).collect();
        each.sort_by_key(|(place, _)| *place);
        Ok(Self {
            each: each.into_iter().map(|(_, output)| output).collect(),
            remote_name_all: matches.get_flag(Self::REMOTE_NAME_ALL),
            dir: matches.get_one(Self::DIR).cloned(),
            create_dirs: matches.get_flag(Self::CREATE_DIRS),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Outputs {
    fn augment_args(command: Command) -> Command {
        let path = |id: &'static str, name: &'static str| {
            Arg::new(id).long(id).value_name(name).value_parser(value_parser!(PathBuf))
        };
        let switch = |id: &'static str| Arg::new(id).long(id).action(ArgAction::SetTrue);
        command
            .arg(
                path(Self::FILE, "FILE")
                    .short('o')
                    .action(ArgAction::Append)
                    .help("Write to FILE instead of standard output; the first -o or -O is for the first URL, and so on")
                    .long_help(
                        "Write to FILE instead of standard output; the first -o or -O is for the first URL, and so on.\n\n\
                         FILE appears when it is complete: until then the bytes are in a hidden file next to it, which goes \
                         away when the transfer fails (with -C, in FILE.part, which stays). '-' is standard output.\n\n\
                         Example: necko fetch https://example.org/1 -o one https://example.org/2 -O",
                    ),
            )
            .arg(
                // An option without a value that remembers each of its places.
                Arg::new(Self::REMOTE_NAME)
                    .short('O')
                    .long(Self::REMOTE_NAME)
                    .action(ArgAction::Append)
                    .num_args(0)
                    .value_parser(value_parser!(bool))
                    .default_missing_value("true")
                    .help("Write to a file with the name at the end of the URL's path"),
            )
            .arg(switch(Self::REMOTE_NAME_ALL).help("-O for every URL without -o"))
            .arg(
                path(Self::DIR, "DIR")
                    .help("The folder that the files of -o and -O go to; it must be there, or see --create-dirs"),
            )
            .arg(switch(Self::CREATE_DIRS).help("Make the folders that a file is to be in"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(arguments: &[&str]) -> Outputs {
        let command = Outputs::augment_args(Command::new("test").no_binary_name(true));
        Outputs::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    fn target(outputs: &Outputs, n: usize, url: &str) -> Result<Target, Failure> {
        outputs.target(n, &Url::parse(url).unwrap())
    }

    const URL: &str = "https://example.org/dir/name.iso?query#fragment";

    #[test]
    fn each_url_takes_the_next_one_of_either_kind() {
        let outputs = outputs(&["-O", "-o", "a", "-O", "-o-"]);
        assert_eq!(outputs.count(), 4);
        assert_eq!(target(&outputs, 0, URL), Ok(Target::File("name.iso".into())));
        assert_eq!(target(&outputs, 1, URL), Ok(Target::File("a".into())));
        assert_eq!(target(&outputs, 2, URL), Ok(Target::File("name.iso".into())));
        assert_eq!(target(&outputs, 3, URL), Ok(Target::Stdout { asked_for: true }));
        assert_eq!(target(&outputs, 4, URL), Ok(Target::Stdout { asked_for: false }));
    }

    #[test]
    fn remote_name_all_is_for_those_without_one() {
        let outputs = outputs(&["-o", "a", "--remote-name-all"]);
        assert_eq!(target(&outputs, 0, URL), Ok(Target::File("a".into())));
        assert_eq!(target(&outputs, 1, URL), Ok(Target::File("name.iso".into())));
    }

    #[test]
    fn a_folder_stands_before_every_name() {
        let outputs = outputs(&["--output-dir", "d/e", "-o", "a", "-o", "/b", "-O", "-o", "-"]);
        for (n, path) in ["d/e/a", "d/e/b", "d/e/name.iso"].into_iter().enumerate() {
            assert_eq!(target(&outputs, n, URL), Ok(Target::File(path.into())));
        }
        assert_eq!(target(&outputs, 3, URL), Ok(Target::Stdout { asked_for: true }));
    }

    #[test]
    fn a_url_without_a_name_is_refused_with_23() {
        let outputs = outputs(&["-O"]);
        for url in ["https://example.org", "https://example.org/dir/", "https://example.org/dir/.."]
        {
            let failure = target(&outputs, 0, url).unwrap_err();
            assert_eq!(failure.code, ExitCode::WriteError, "{url}");
        }
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let outputs = outputs(&["-O", "--output-dir", "d"]);
        for (url, path) in [
            ("https://example.org/..%2f..%2fetc%2fpasswd", "d/..%2f..%2fetc%2fpasswd"),
            ("https://example.org/a\\b", "d/b"),
            ("https://example.org/x%00y", "d/x%00y"),
        ] {
            assert_eq!(target(&outputs, 0, url), Ok(Target::File(path.into())), "{url}");
        }
    }
}
