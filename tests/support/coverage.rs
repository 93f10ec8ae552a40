//! Tables of what is to be shown, and by which tests: made of the names of the tests, compared with what is checked in.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The tests in and below a directory of this package, by what `keys` finds in the name of each: none, one or several.
pub(crate) fn tests<K: Ord>(directory: &str, keys: impl Fn(&str) -> Vec<K>) -> BTreeMap<K, Vec<String>> {
    let mut tests = BTreeMap::<K, Vec<String>>::new();
    let mut files = files(path(directory));
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        let source = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = source.lines().collect();
        for pair in lines.windows(2).filter(|pair| is_test(pair[0])) {
            let Some((_, name)) = pair[1].split_once("fn ") else { continue };
            let name = name.split('(').next().unwrap();
            let module = file.file_stem().unwrap().to_string_lossy();
            for key in keys(name) {
                tests.entry(key).or_default().push(format!("{module}::{name}"));
            }
        }
    }
    tests
}

fn files(directory: PathBuf) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(path) } else { vec![path] }).collect()
}

fn is_test(line: &str) -> bool {
    line == "#[test]" || line.starts_with("#[tokio::test")
}

/// Why something has no test: a key and a sentence to a line.
pub(crate) fn reasons(lines: &'static str) -> BTreeMap<&'static str, &'static str> {
    lines.lines().map(|line| line.split_once(' ').expect("a key and a reason")).collect()
}

/// The same, for what has numbers.
pub(crate) fn numbered_reasons(lines: &'static str) -> BTreeMap<usize, &'static str> {
    reasons(lines).into_iter().map(|(number, reason)| (number.parse().expect("a number"), reason)).collect()
}

/// What a table says of one thing: its tests, or why there is none.
pub(crate) fn shown(tests: Option<&Vec<String>>, reason: Option<&&str>) -> String {
    match (tests, reason) {
        (Some(names), _) => format!("`{}`", names.join("` `")),
        (None, Some(reason)) => (*reason).to_owned(),
        (None, None) => "not yet".to_owned(),
    }
}

/// The table in this file of the package is the given one; with `variable` set it is written anew.
pub(crate) fn compare(file: &str, table: &str, variable: &str) {
    let path = path(file);
    if std::env::var_os(variable).is_some() {
        fs::write(&path, table).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    for (stored, expected) in stored.lines().zip(table.lines()) {
        assert_eq!(stored, expected, "write it anew with {variable}=1");
    }
    assert!(stored == table, "{file} ends too early or too late: write it anew with {variable}=1");
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
