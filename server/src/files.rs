//! From the path of a request to an open file below the served folder, and never outside it.
//!
//! ```text
//!   ":path" bytes ── decode ──▶ Target ── on a worker: canonicalize, check, open ──▶ Opened
//!                      │                               │
//!                      ▼                               ▼
//!                   Refusal                         Refusal
//! ```
//!
//! [`Target::parse`] looks at the bytes alone, so that a hostile path never reaches the disk.
//! [`open`] follows symbolic links and then insists that the result lies below the folder. (Whoever
//! can change links *inside* the folder while it is being served can win a race against that check;
//! the folder's owner is trusted.)

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
    time::SystemTime,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::{
    listing,
    source::{OpenFile, OpenFiles},
};

/// What is written as it is in the path of a link: the unreserved characters of RFC 3986.
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// How the names of unfinished uploads end.
pub(crate) const UNFINISHED: &str = ".part";

/// A request's path, decoded and found harmless: relative names without tricks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    relative: PathBuf,
    /// The path ended with a slash, or a dot: only a folder will do.
    must_be_folder: bool,
}

/// Why no file is served.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The path means nothing: 400.
    Malformed(&'static str),
    /// The path leads where nobody may go: 403.
    Forbidden(&'static str),
    /// 404.
    NotFound,
    /// A folder whose slash is missing; relative links on its page would lead astray: 301.
    Moved(String),
    /// The disk, or a limit of the system: 500.
    Unavailable(io::Error),
}

/// What a path leads to.
#[derive(Debug)]
pub(crate) enum Opened {
    File(Found),
    /// A page with the names in a folder.
    Listing(String),
}

/// An open file, ready to be read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: OpenFile,
    pub(crate) length: u64,
    pub(crate) modified: Option<SystemTime>,
    pub(crate) content_type: &'static str,
}

impl Target {
    /// Decodes the path of a request target; the query must have been cut off.
    pub(crate) fn parse(path: &[u8]) -> Result<Self, Refusal> {
        let Some(path) = path.strip_prefix(b"/") else {
            return Err(Refusal::Malformed("the path does not begin with a slash"));
        };
        let mut relative = PathBuf::new();
        let mut must_be_folder = true;
        for segment in path.split(|byte| *byte == b'/') {
            // "a//b" and "a/./b" mean "a/b"; all else has to be the name of one thing.
            must_be_folder = segment.is_empty() || segment == b".";
            if !must_be_folder {
                relative.push(decode_name(segment)?);
            }
        }
        Ok(Self { relative, must_be_folder })
    }

    /// Below the folder that is served, or written to.
    pub(crate) fn relative(&self) -> &Path {
        &self.relative
    }

    pub(crate) fn must_be_folder(&self) -> bool {
        self.must_be_folder
    }

    /// The same as a path of a URL, which begins with a slash; a folder's ends with one.
    pub(crate) fn url_path(&self) -> String {
        let mut path = String::new();
        for name in &self.relative {
            path.push('/');
            path.push_str(&encode_name(name));
        }
        if self.must_be_folder || path.is_empty() {
            path.push('/');
        }
        path
    }
}

/// A name as a part of a URL's path.
pub(crate) fn encode_name(name: &OsStr) -> String {
    percent_encode(&os_bytes(name), &ENCODED).to_string()
}

#[cfg(unix)]
fn os_bytes(name: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(std::os::unix::ffi::OsStrExt::as_bytes(name))
}

#[cfg(not(unix))]
fn os_bytes(name: &OsStr) -> Cow<'_, [u8]> {
    Cow::Owned(name.to_string_lossy().into_owned().into_bytes())
}

/// Whether a listing leaves a name out.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    os_bytes(name).starts_with(b".")
}

/// Whether a name is one of unfinished uploads, `.NAME.PID-N.part`: not served, and not to be chosen
/// by clients.
pub(crate) fn is_unfinished_upload(name: &OsStr) -> bool {
    let name = os_bytes(name);
    let numbers = name
        .strip_prefix(b".")
        .and_then(|name| name.strip_suffix(UNFINISHED.as_bytes()))
        .and_then(|name| name.rsplit(|byte| *byte == b'.').next());
    let is_number = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    numbers.is_some_and(|numbers| {
        let mut two = numbers.splitn(2, |byte| *byte == b'-');
        two.next().is_some_and(is_number) && two.next().is_some_and(is_number)
    })
}

/// Decodes one segment into the name of one file or folder.
fn decode_name(segment: &[u8]) -> Result<OsString, Refusal> {
    let mut rest = segment.iter();
    while let Some(byte) = rest.next() {
        let digits = [rest.as_slice().first(), rest.as_slice().get(1)];
        if *byte == b'%' && !digits.iter().all(|d| d.is_some_and(u8::is_ascii_hexdigit)) {
            return Err(Refusal::Malformed("a percent sign is not followed by two hex digits"));
        }
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(segment).collect();
    if decoded.contains(&0) {
        return Err(Refusal::Malformed("the path contains a NUL"));
    }
    if decoded.contains(&b'/') {
        return Err(Refusal::Malformed("the path contains an encoded slash"));
    }
    let name = os_name(decoded)?;
    // The system's own opinion: exactly one ordinary name. No "..", and elsewhere than on Unix no
    // drive and no other separator either.
    let mut components = Path::new(&name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None) if only == name.as_os_str() => Ok(name),
        _ => Err(Refusal::Forbidden("the path climbs out of the served folder")),
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "fails on other systems")]
fn os_name(bytes: Vec<u8>) -> Result<OsString, Refusal> {
    Ok(std::os::unix::ffi::OsStringExt::from_vec(bytes))
}

#[cfg(not(unix))]
fn os_name(bytes: Vec<u8>) -> Result<OsString, Refusal> {
    String::from_utf8(bytes)
        .map(OsString::from)
        .map_err(|_| Refusal::Malformed("the path is not UTF-8"))
}

/// Opens what `target` names below `root`, which must be canonical. A folder stands for its
/// `index.html`, or with `list` for a page with the names in it.
///
/// Thread: a worker; it waits for the disk.
pub(crate) fn open(
    root: &Path,
    target: &Target,
    list: bool,
    count: &OpenFiles,
) -> Result<Opened, Refusal> {
    if target.relative.file_name().is_some_and(is_unfinished_upload) {
        return Err(Refusal::NotFound);
    }
    let mut path = inside(root, &root.join(&target.relative))?;
    let mut metadata = fs::metadata(&path).map_err(refusal)?;
    if metadata.is_dir() {
        if !target.must_be_folder {
            return Err(Refusal::Moved(format!("{}/", target.url_path())));
        }
        match inside(root, &path.join("index.html")) {
            Err(Refusal::NotFound) if list => {
                let page = listing::page(&path, &target.url_path()).map_err(refusal)?;
                return Ok(Opened::Listing(page));
            }
            index => path = index?,
        }
        metadata = fs::metadata(&path).map_err(refusal)?;
    } else if target.must_be_folder {
        return Err(Refusal::NotFound);
    }
    // Asked before opening, because opening a named pipe would wait for its other end.
    if !metadata.is_file() {
        return Err(Refusal::Forbidden("this is not a regular file"));
    }
    let file = File::open(&path).map_err(refusal)?;
    let metadata = file.metadata().map_err(refusal)?;
    let file = OpenFile::new(file, count);
    let content_type = content_type(&path);
    let (length, modified) = (metadata.len(), metadata.modified().ok());
    Ok(Opened::File(Found { file, length, modified, content_type }))
}

/// Resolves all links and checks that the result is below the root.
pub(crate) fn inside(root: &Path, path: &Path) -> Result<PathBuf, Refusal> {
    let resolved = path.canonicalize().map_err(refusal)?;
    if resolved.starts_with(root) {
        Ok(resolved)
    } else {
        Err(Refusal::Forbidden("the path leads out of the served folder"))
    }
}

fn refusal(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            Refusal::NotFound
        }
        io::ErrorKind::PermissionDenied => Refusal::Forbidden("the server may not read this file"),
        _ => Refusal::Unavailable(error),
    }
}

/// The media type for a file's name.
fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "log" | "md" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "tar" => "application/x-tar",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
