//! `tests/CONFORMANCE.md`: every item with the tests that show it, made of `items.txt`, the names of the tests here, and
//! `reasons.txt` for items that no test shows.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A line of `items.txt`: a number, a star or a dash, what it is about.
struct Item {
    star: char,
    what: String,
}

fn items() -> Vec<Item> {
    let lines = include_str!("items.txt").lines().enumerate();
    lines
        .map(|(n, line)| {
            let mut fields = line.splitn(3, ' ');
            assert_eq!(fields.next(), Some(&(n + 1).to_string()[..]), "items.txt is not in order");
            let star = fields.next().and_then(|star| star.chars().next()).expect("a star or a dash");
            assert!(matches!(star, '★' | '☆' | '-'), "{line}");
            Item { star, what: fields.next().expect("what it is about").to_owned() }
        })
        .collect()
}

/// The tests of this directory by their numbers.
fn tests() -> BTreeMap<usize, Vec<String>> {
    let mut tests = BTreeMap::<usize, Vec<String>>::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let source = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        for pair in lines.windows(2).filter(|pair| pair[0] == "#[test]") {
            let Some(name) = pair[1].strip_prefix("fn item_") else { continue };
            let name = name.split('(').next().unwrap();
            let number = name[..3].parse().unwrap_or_else(|_| panic!("no number: {name}"));
            let module = file.file_stem().unwrap().to_string_lossy();
            tests.entry(number).or_default().push(format!("{module}::item_{name}"));
        }
    }
    tests
}

/// Why an item has no test: a number and a sentence to a line of `reasons.txt`.
fn reasons() -> BTreeMap<usize, &'static str> {
    let lines = include_str!("reasons.txt").lines();
    lines
        .map(|line| {
            let (number, reason) = line.split_once(' ').expect("a number and a reason");
            (number.parse().expect("a number"), reason)
        })
        .collect()
}

fn table() -> String {
    let (items, tests, reasons) = (items(), tests(), reasons());
    assert!(tests.keys().all(|number| (1..=items.len()).contains(number)), "a test without an item");
    assert!(reasons.keys().all(|number| !tests.contains_key(number)), "a reason for what is shown");
    let mut table = String::from(HEAD);
    for (n, item) in items.iter().enumerate() {
        let shown = match (tests.get(&(n + 1)), reasons.get(&(n + 1))) {
            (Some(names), _) => format!("`{}`", names.join("` `")),
            (None, Some(reason)) => (*reason).to_owned(),
            (None, None) => "not yet".to_owned(),
        };
        let star = if item.star == '-' { String::new() } else { item.star.to_string() };
        writeln!(table, "| {} | {star} | {} | {shown} |", n + 1, item.what).unwrap();
    }
    let count = |star: char| {
        let of = items.iter().filter(|item| item.star == star).count();
        let covered = tests.keys().filter(|number| items[**number - 1].star == star).count();
        format!("{star} {covered} of {of}")
    };
    let (most, next) = (count('★'), count('☆'));
    writeln!(table, "\nCovered: {} of {} ({most}, {next})", tests.len(), items.len()).unwrap();
    table
}

/// The table and the tests agree. With `WRITE_CONFORMANCE=1` the table is written anew.
#[test]
fn the_table_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONFORMANCE.md");
    let table = table();
    if std::env::var_os("WRITE_CONFORMANCE").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    for (stored, expected) in stored.lines().zip(table.lines()) {
        assert_eq!(stored, expected, "write it anew with WRITE_CONFORMANCE=1");
    }
    assert_eq!(stored, table);
}

/// There are as many items as there are, and every star.
#[test]
fn the_list_is_complete() {
    let items = items();
    let stars = |star: char| items.iter().filter(|item| item.star == star).count();
    assert_eq!((items.len(), stars('★'), stars('☆')), (348, 62, 50));
}

const HEAD: &str = "\
# Conformance of the SCTP association, item by item

★ matters most to interoperability and security, ☆ comes next. The tests are in `conformance/`; they speak to the engine
through a raw peer with a codec of its own. Made by `WRITE_CONFORMANCE=1 cargo test -p straits-tests --test
sctp_conformance`, and compared by the same test without it.

| item | | what | shown by |
|---|---|---|---|
";
