//! `tests/CONFORMANCE.md`: every item with the tests that show it, made of `items.txt`, the names of the tests here, and
//! `reasons.txt` for items that no test shows.

use super::coverage;
use std::collections::BTreeMap;
use std::fmt::Write;

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
    coverage::tests("conformance", |name| {
        let number = name.strip_prefix("item_").map(|rest| rest[..3].parse());
        number.map(|number| number.unwrap_or_else(|_| panic!("no number: {name}"))).into_iter().collect()
    })
}

/// Why an item has no test.
fn reasons() -> BTreeMap<usize, &'static str> {
    coverage::numbered_reasons(include_str!("reasons.txt"))
}

fn written() -> String {
    let (items, tests, reasons) = (items(), tests(), reasons());
    assert!(tests.keys().all(|number| (1..=items.len()).contains(number)), "a test without an item");
    assert!(reasons.keys().all(|number| !tests.contains_key(number)), "a reason for what is shown");
    let mut table = String::from(HEAD);
    for (n, item) in items.iter().enumerate() {
        let shown = coverage::shown(tests.get(&(n + 1)), reasons.get(&(n + 1)));
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
    coverage::compare("CONFORMANCE.md", &written(), "WRITE_CONFORMANCE");
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
