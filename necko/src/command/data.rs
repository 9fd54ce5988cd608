//! `-d` and its relatives: the request's body from the command line.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::{exit_code::ExitCode, report::Failure};

/// The pieces of the body, in the order of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Data(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    /// A file, or standard input for `-`; with line breaks and NUL taken out, or as it is.
    File {
        path: PathBuf,
        as_it_is: bool,
    },
}

impl Piece {
    fn parse(kind: &str, value: &OsStr) -> Self {
        match value.as_bytes().strip_prefix(b"@") {
            Some(path) if kind != Data::RAW => {
                let path = OsStr::from_bytes(path).into();
                Self::File { path, as_it_is: kind == Data::BINARY }
            }
            _ => Self::Text(value.as_bytes().to_vec()),
        }
    }

    fn read(&self) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File { path, as_it_is } => {
                let mut bytes = read_file(path).map_err(|error| unreadable(path, &error))?;
                if !as_it_is {
                    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
                }
                Ok(bytes)
            }
        }
    }
}

fn read_file(path: &PathBuf) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes)
    } else {
        fs::read(path)
    }
}

fn unreadable(path: &std::path::Path, error: &io::Error) -> Failure {
    let message = format!("the data to send can't be read from {}: {error}", path.display());
    Failure::new(ExitCode::ReadError, message)
}

impl Data {
    /// What conflicts with these options names them so.
    pub(crate) const IDS: [&'static str; 3] = [Self::TEXT, Self::BINARY, Self::RAW];

    const TEXT: &'static str = "data";
    const BINARY: &'static str = "data-binary";
    const RAW: &'static str = "data-raw";

    /// Whether there is a body, be it an empty one.
    pub(crate) fn is_given(&self) -> bool {
        !self.0.is_empty()
    }

    /// Reads the files and joins the pieces with `&`.
    ///
    /// # Errors
    /// A file can't be read.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Failure> {
        let mut pieces = self.0.iter().map(Piece::read).collect::<Result<Vec<_>, _>>()?;
        // Most often there is one, and it may be large: not copied.
        match pieces.pop() {
            Some(only) if pieces.is_empty() => Ok(only),
            Some(last) => {
                pieces.push(last);
                Ok(pieces.join(&b'&'))
            }
            None => Ok(Vec::new()),
        }
    }
}

impl FromArgMatches for Data {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut pieces = Vec::new();
        for id in Self::IDS {
            let values = matches.get_many::<OsString>(id).into_iter().flatten();
            let places = matches.indices_of(id).into_iter().flatten();
            pieces
                .extend(places.zip(values).map(|(place, value)| (place, Piece::parse(id, value))));
        }
        pieces.sort_by_key(|(place, _)| *place);
        Ok(Self(pieces.into_iter().map(|(_, piece)| piece).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Data {
    fn augment_args(command: Command) -> Command {
        let option = |id: &'static str, help: &'static str| {
            Arg::new(id)
                .long(id)
                .value_name("DATA")
                .help(help)
                .action(ArgAction::Append)
                .value_parser(value_parser!(OsString))
                .allow_hyphen_values(true)
        };
        let text = "Send DATA as a form does (POST); @FILE is the file's content without line breaks, \
                    @- standard input; several are joined with '&'";
        command
            .arg(option(Self::TEXT, text).short('d'))
            .arg(option(Self::BINARY, "As -d, but a file is sent byte for byte"))
            .arg(option(Self::RAW, "As -d, but '@' has no meaning"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(arguments: &[&str]) -> Data {
        let command = Data::augment_args(Command::new("test").no_binary_name(true));
        Data::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    #[test]
    fn pieces_are_joined_in_the_order_of_the_command_line() {
        let data = data(&["-d", "a=1", "--data-raw", "@b", "--data-binary", "c", "-d", "-d"]);
        assert_eq!(data.read().unwrap(), b"a=1&@b&c&-d");
    }

    #[test]
    fn an_empty_piece_is_a_body() {
        assert!(data(&["-d", ""]).is_given());
        assert!(!data(&[]).is_given());
    }

    #[test]
    fn line_breaks_go_unless_binary() {
        let path = std::env::temp_dir().join(format!("necko-data-{}", std::process::id()));
        fs::write(&path, b"a\r\nb\0c\n").unwrap();
        let argument = format!("@{}", path.display());
        assert_eq!(data(&["-d", &argument]).read().unwrap(), b"abc");
        assert_eq!(data(&["--data-binary", &argument]).read().unwrap(), b"a\r\nb\0c\n");
        fs::remove_file(&path).unwrap();
        let failure = data(&["-d", &argument]).read().unwrap_err();
        assert_eq!(failure.code, ExitCode::ReadError);
    }
}
