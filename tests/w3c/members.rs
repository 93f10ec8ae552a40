//! `tests/IDL.md`: every member of the interfaces of the W3C text that are not about media alone, with its name here. Made of
//! `idl.txt`, the members by interface, and `members.txt`, which has for each of them its names here, or `-` and why it has
//! none, or `later` and the name that it is to have.

use super::coverage;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// How a member is had here.
enum Member {
    Named(Vec<&'static str>),
    Later(&'static str),
    Without(&'static str),
}

/// The members of the interfaces, in the order of the text: `RTCDataChannel.label`.
fn idl() -> Vec<String> {
    let lines = include_str!("idl.txt").lines();
    let members = lines.flat_map(|line| {
        let mut words = line.split(' ');
        let interface = words.next().expect("a line begins with its interface");
        words.map(move |member| format!("{interface}.{member}"))
    });
    members.collect()
}

fn members() -> BTreeMap<&'static str, Member> {
    let mut members = BTreeMap::new();
    for line in include_str!("members.txt").lines() {
        let (idl, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let member = match rest.split_once(' ') {
            Some(("-", reason)) => Member::Without(reason),
            Some(("later", name)) => Member::Later(name),
            _ => Member::Named(rest.split(' ').collect()),
        };
        assert!(members.insert(idl, member).is_none(), "{idl} stands there twice");
    }
    members
}

/// What the public types have: `PeerConnection::new`. Found in the source as rustfmt leaves it, because a path to a function
/// with `impl` in its arguments cannot be written without calling it.
fn items() -> BTreeSet<String> {
    let mut items = BTreeSet::new();
    for file in sources() {
        let source = fs::read_to_string(&file).unwrap();
        let mut owner = None;
        for line in source.lines() {
            if !line.is_empty() && !line.starts_with([' ', '/', '#']) {
                owner = owner_of(line);
            } else if let Some(owner) = owner
                && let Some(item) = item_of(line, owner)
            {
                items.insert(format!("{}::{item}", owner.name()));
            }
        }
    }
    items
}

/// A block at the left margin in which items of a type stand.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Enum(&'a str),
    Other(&'a str),
}

impl<'a> Owner<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Enum(name) | Self::Other(name) => name,
        }
    }
}

fn owner_of(line: &str) -> Option<Owner<'_>> {
    let line = line.strip_suffix(" {")?;
    if let Some(name) = line.strip_prefix("pub enum ") {
        return Some(Owner::Enum(name));
    }
    let name = line.strip_prefix("impl ").or(line.strip_prefix("pub struct "))?;
    is_name(name).then_some(Owner::Other(name))
}

/// A public function or field, or a variant, one step from the left margin.
fn item_of<'a>(line: &'a str, owner: Owner<'_>) -> Option<&'a str> {
    let line = line.strip_prefix("    ")?;
    let item = match owner {
        Owner::Enum(_) => line,
        Owner::Other(_) => {
            let item = line.strip_prefix("pub ")?;
            let item = item.strip_prefix("const ").unwrap_or(item);
            let item = item.strip_prefix("async ").unwrap_or(item);
            item.strip_prefix("fn ").unwrap_or(item)
        }
    };
    let name = &item[..item.find(|c: char| !is_word(c)).unwrap_or(item.len())];
    is_name(name).then_some(name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(is_word)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The facade, and the crate of the certificates that it gives out.
fn sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut directories = vec![crates.join("straits/src"), crates.join("dtls/src")];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

fn written() -> String {
    let members = members();
    let mut table = String::from(HEAD);
    for idl in idl() {
        let here = match &members[idl.as_str()] {
            Member::Named(names) => format!("`{}`", names.join("` `")),
            Member::Later(name) => format!("not yet: `{name}`"),
            Member::Without(reason) => format!("none: {reason}"),
        };
        writeln!(table, "| `{idl}` | {here} |").unwrap();
    }
    table
}

/// Each member of the interfaces has a line, each name in it is one of a public item, and the table has it so. With
/// `WRITE_IDL=1` the table is written anew.
#[test]
fn e2e_04_every_member_has_a_name_or_a_reason() {
    let (idl, members, items) = (idl(), members(), items());
    let wanted: BTreeSet<&str> = idl.iter().map(String::as_str).collect();
    assert_eq!(wanted.len(), idl.len(), "a member stands in idl.txt twice");
    let lacking: Vec<_> = wanted.iter().filter(|idl| !members.contains_key(*idl)).collect();
    assert!(lacking.is_empty(), "without a line in members.txt: {lacking:?}");
    let unknown: Vec<_> = members.keys().filter(|idl| !wanted.contains(*idl)).collect();
    assert!(unknown.is_empty(), "not in idl.txt: {unknown:?}");
    for (idl, member) in &members {
        match member {
            Member::Named(names) => {
                for name in names {
                    assert!(items.contains(*name), "{idl}: there is no {name}");
                }
            }
            Member::Later(name) => {
                assert!(!items.contains(*name), "{idl}: {name} is there now, take `later` off its line");
            }
            Member::Without(_) => {}
        }
    }
    coverage::compare("IDL.md", &written(), "WRITE_IDL");
}

/// What is looked for is found only where it is.
#[test]
fn items_are_found_by_their_owners() {
    let items = items();
    for there in
        ["PeerConnection::new", "IceCandidate::sdp_mid", "ErrorDetail::SctpFailure", "Identity::generate"]
    {
        assert!(items.contains(there), "{there}");
    }
    for absent in ["DataChannel::new", "PeerConnection::label", "ErrorDetail::cause_code", "Inner::close"] {
        assert!(!items.contains(absent), "{absent}");
    }
}

const HEAD: &str = "\
# The interfaces of the W3C text and their names here

The interfaces of W3C webrtc-pc, and `priority` of webrtc-priority, but for those that are about media alone. Made by
`WRITE_IDL=1 cargo test -p straits-tests --test w3c`, and compared with the source by the same test without it.

| there | here |
|---|---|
";
