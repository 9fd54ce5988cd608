//! A page with the names in a folder, for `--list`.
//!
//! Thread: a worker; it waits for the disk.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    fs::{self, DirEntry},
    io,
    path::Path,
};

use crate::files::{encode_name, is_hidden};

/// More names than this are not listed, however many there are: a page has to end.
const MAX_NAMES: usize = 1000;
/// The same for their bytes on the page.
const MAX_BYTES: usize = 256 * 1024;

/// The page for `folder`, which clients know as `title`. Names that begin with a dot are left out.
pub(crate) fn page(folder: &Path, title: &str) -> io::Result<String> {
    let (names, complete) = names(folder, MAX_NAMES)?;
    Ok(render(title, &names, complete))
}

/// At most `max` names in alphabetical order, those of folders with a slash; and whether these are
/// all. Which ones are taken of too many is the file system's choice.
fn names(folder: &Path, max: usize) -> io::Result<(Vec<Name>, bool)> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        if names.len() == max {
            return Ok((sorted(names), false));
        }
        names.extend(Name::of(&entry?));
    }
    Ok((sorted(names), true))
}

fn sorted(mut names: Vec<Name>) -> Vec<Name> {
    names.sort();
    names
}

/// What a name looks like on the page, and in its link.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    text: String,
    link: String,
}

impl Name {
    fn of(entry: &DirEntry) -> Option<Self> {
        let name = entry.file_name();
        let slash = if entry.file_type().is_ok_and(|kind| kind.is_dir()) { "/" } else { "" };
        (!is_hidden(&name)).then(|| Self::new(&name, slash))
    }

    fn new(name: &OsStr, slash: &str) -> Self {
        let text = format!("{}{slash}", name.to_string_lossy());
        Self { text, link: format!("{}{slash}", encode_name(name)) }
    }
}

fn render(title: &str, names: &[Name], mut complete: bool) -> String {
    let title = escape(title);
    let mut page = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <h1>{title}</h1>\n<ul>\n"
    );
    let mut listed = 0;
    for Name { text, link } in names {
        if page.len() > MAX_BYTES {
            complete = false;
            break;
        }
        listed += 1;
        // Writing to a string can't fail.
        let _ = writeln!(page, "<li><a href=\"{link}\">{}</a>", escape(text));
    }
    page.push_str("</ul>\n");
    if !complete {
        let _ = writeln!(page, "<p>These are {listed} names; there are more.");
    }
    page
}

/// Text that can't end the element or attribute in which it stands.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_only_text() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["<script>alert(1)<", "a\"b'c&d", "javascript:x", "a b%20?#", ".hidden", "ä"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let page = page(folder.path(), "/<b>/").unwrap();
        let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("<li>")).collect();
        assert_eq!(
            lines,
            [
                "<li><a href=\"%3Cscript%3Ealert%281%29%3C\">&lt;script&gt;alert(1)&lt;</a>",
                "<li><a href=\"a%20b%2520%3F%23\">a b%20?#</a>",
                "<li><a href=\"a%22b%27c%26d\">a&quot;b&#39;c&amp;d</a>",
                "<li><a href=\"javascript%3Ax\">javascript:x</a>",
                "<li><a href=\"sub/\">sub/</a>",
                "<li><a href=\"%C3%A4\">ä</a>",
            ]
        );
        assert!(page.contains("<title>/&lt;b&gt;/</title>"));
        assert!(!page.contains("there are more"));
    }

    #[test]
    fn a_long_listing_is_cut_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..5 {
            fs::write(folder.path().join(format!("{n}")), "").unwrap();
        }
        let (some, complete) = names(folder.path(), 4).unwrap();
        assert_eq!((some.len(), complete), (4, false));
        assert!(render("/", &some, complete).contains("These are 4 names; there are more."));
        let (all, complete) = names(folder.path(), 5).unwrap();
        assert_eq!((all.len(), complete), (5, true));

        // Cut also when the names are long.
        let long = Name::new(OsStr::new(&"<".repeat(255)), "");
        let many: Vec<Name> = (0..MAX_NAMES)
            .map(|_| Name { text: long.text.clone(), link: long.link.clone() })
            .collect();
        let page = render("/", &many, true);
        assert!(page.len() < MAX_BYTES + 4096 && page.contains("there are more"), "{}", page.len());
    }
}
