//! `tests/W3C.md`: every behaviour with the tests that show it, made of `behaviours.txt`, the names of the tests here, and
//! `reasons.txt` for behaviours that no test shows.

use super::coverage;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A line of `behaviours.txt`: an id, whom it is for, what it is about.
struct Behaviour {
    id: &'static str,
    /// It speaks of the language, or of what only a browser has.
    is_javascript: bool,
    what: &'static str,
}

fn behaviours() -> Vec<Behaviour> {
    let lines = include_str!("behaviours.txt").lines();
    lines
        .map(|line| {
            let mut fields = line.splitn(3, ' ');
            let mut field = || fields.next().unwrap_or_else(|| panic!("{line}"));
            let (id, kind, what) = (field(), field(), field());
            assert!(matches!(kind, "JS" | "-"), "{line}");
            Behaviour { id, is_javascript: kind == "JS", what }
        })
        .collect()
}

/// The tests of this directory by the ids in their names: `cdc_08_09_id_02_what_it_is` shows CDC-08, CDC-09 and ID-02.
fn tests() -> BTreeMap<String, Vec<String>> {
    let behaviours = behaviours();
    let is_area = |word: &str| {
        behaviours.iter().any(|behaviour| behaviour.id.split('-').next() == Some(&*word.to_uppercase()))
    };
    coverage::tests("w3c", |name| {
        let (mut area, mut ids) = (String::new(), Vec::new());
        let mut words = name.split('_').peekable();
        let is_number = |word: &str| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        while let Some(word) = words.next() {
            if is_number(word) && !area.is_empty() {
                ids.push(format!("{area}-{word}"));
            } else if is_area(word) && words.peek().is_some_and(|next| is_number(next)) {
                area = word.to_uppercase();
            } else {
                break;
            }
        }
        ids
    })
}

fn written() -> String {
    let (behaviours, tests) = (behaviours(), tests());
    let reasons = coverage::reasons(include_str!("reasons.txt"));
    let is_known =
        |id: &str| behaviours.iter().any(|behaviour| behaviour.id == id && !behaviour.is_javascript);
    for id in tests.keys().map(String::as_str).chain(reasons.keys().copied()) {
        assert!(is_known(id), "{id} is not to be shown");
    }
    assert!(reasons.keys().all(|id| !tests.contains_key(*id)), "a reason for what is shown");
    let mut table = String::from(HEAD);
    for Behaviour { id, is_javascript, what } in &behaviours {
        let shown = match is_javascript {
            true => "JavaScript only".to_owned(),
            false => coverage::shown(tests.get(*id), reasons.get(id)),
        };
        writeln!(table, "| {id} | {what} | {shown} |").unwrap();
    }
    let of = behaviours.iter().filter(|behaviour| !behaviour.is_javascript).count();
    writeln!(table, "\nCovered: {} of {of}", tests.len()).unwrap();
    table
}

/// The table and the tests agree. With `WRITE_W3C=1` the table is written anew.
#[test]
fn the_table_is_up_to_date() {
    coverage::compare("W3C.md", &written(), "WRITE_W3C");
}

/// Each id stands there once.
#[test]
fn the_list_is_complete() {
    let behaviours = behaviours();
    let mut ids: Vec<_> = behaviours.iter().map(|behaviour| behaviour.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((behaviours.len(), ids.len()), (372, 372));
}

const HEAD: &str = "\
# Conformance to the W3C text, behaviour by behaviour

What the web-platform-tests and the text of webrtc-pc ask of connections and channels without media. The tests are in `w3c/`;
they run over UDP on the loopback. Made by `WRITE_W3C=1 cargo test -p straits-tests --test w3c`, and compared by the same test
without it.

| id | what | shown by |
|---|---|---|
";
