//! `tests/SECURITY.md`: every attack with the tests that try it, made of `attacks.txt`, the names of the tests here, and
//! `reasons.txt` for attacks that no test tries.

use super::coverage;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A line of `attacks.txt`: a number, who attacks, with what.
struct Attack {
    who: &'static str,
    what: &'static str,
}

fn attacks() -> Vec<Attack> {
    let lines = include_str!("attacks.txt").lines().enumerate();
    lines
        .map(|(n, line)| {
            let mut fields = line.splitn(3, ' ');
            assert_eq!(fields.next(), Some(&(n + 1).to_string()[..]), "attacks.txt is not in order");
            let who = fields.next().expect("who attacks");
            assert!(matches!(who, "OFF" | "ON" | "PEER"), "{line}");
            Attack { who, what: fields.next().expect("with what") }
        })
        .collect()
}

/// The tests of this directory by their numbers: `attack_09_10_what_it_is` tries 9 and 10.
fn tests() -> BTreeMap<usize, Vec<String>> {
    coverage::tests("security", |name| {
        let numbers = name.strip_prefix("attack_").into_iter().flat_map(|rest| rest.split('_'));
        numbers.map_while(|word| word.parse().ok().filter(|_| word.len() == 2)).collect()
    })
}

/// Why an attack has no test.
fn reasons() -> BTreeMap<usize, &'static str> {
    coverage::numbered_reasons(include_str!("reasons.txt"))
}

fn written() -> String {
    let (attacks, tests, reasons) = (attacks(), tests(), reasons());
    assert!(tests.keys().all(|number| (1..=attacks.len()).contains(number)), "a test without an attack");
    assert!(reasons.keys().all(|number| !tests.contains_key(number)), "a reason for what is tried");
    let mut table = String::from(HEAD);
    for (n, attack) in attacks.iter().enumerate() {
        let shown = coverage::shown(tests.get(&(n + 1)), reasons.get(&(n + 1)));
        writeln!(table, "| {} | {} | {} | {shown} |", n + 1, attack.who, attack.what).unwrap();
    }
    writeln!(table, "\nCovered: {} of {}", tests.len(), attacks.len()).unwrap();
    table
}

/// The table and the tests agree. With `WRITE_SECURITY=1` the table is written anew.
#[test]
fn the_table_is_up_to_date() {
    coverage::compare("SECURITY.md", &written(), "WRITE_SECURITY");
}

/// There are as many attacks as there are, and each has a test or a reason.
#[test]
fn the_list_is_complete() {
    let (tests, reasons) = (tests(), reasons());
    let numbers = 1..=attacks().len();
    let open: Vec<_> =
        numbers.clone().filter(|n| !tests.contains_key(n) && !reasons.contains_key(n)).collect();
    assert_eq!((numbers.end(), &open[..]), (&60, &[][..]));
}

const HEAD: &str = "\
# Attacks on the stack, one by one

Who attacks: OFF is off the path and can only forge source addresses, ON is on the path and reads, drops and changes, PEER is
the authenticated peer, a stranger as a rule. The tests are in `security/`; each does what the attacker would and looks at the
bound that stops it. Made by `WRITE_SECURITY=1 cargo test -p straits-tests --test security`, and compared by the same test
without it.

| | who | attack | tried by |
|---|---|---|---|
";
