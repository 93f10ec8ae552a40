//! `tests/INTEROP.md`.

use crate::reasons::Reasons;
use crate::results::{Pair, Results, Scenario, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// A client and the results of its pairs with Straits.
#[derive(Default)]
struct Client<'a> {
    version: Option<&'a str>,
    /// Straits offers.
    answers: Option<&'a Pair>,
    /// The client offers.
    offers: Option<&'a Pair>,
}

/// The table; an error when it would have something that did not pass without its reason.
pub(crate) fn write(results: &Results, reasons: &Reasons) -> Result<String, String> {
    let clients = clients(results)?;
    let mut text = String::from(HEAD);
    for (name, client) in &clients {
        let count = |pair: Option<&Pair>| pair.map_or_else(|| "–".to_owned(), count);
        let (answers, offers) = (count(client.answers), count(client.offers));
        let version = client.version.unwrap_or("unknown");
        writeln!(text, "| {name} | {version} | {answers} | {offers} |").expect(STRING);
    }
    for (name, client) in &clients {
        let version = client.version.unwrap_or("unknown");
        write!(text, "\n## {name}, {version}\n\n{COLUMNS}").expect(STRING);
        section(&mut text, name, client, reasons)?;
    }
    Ok(text)
}

fn clients(results: &Results) -> Result<BTreeMap<&str, Client<'_>>, String> {
    let mut clients = BTreeMap::<&str, Client<'_>>::new();
    for (name, pair) in &results.pairs {
        let versions = pair.versions.as_ref();
        if pair.offerer == US {
            let client = clients.entry(&pair.answerer).or_default();
            client.answers = Some(pair);
            client.version = versions.map(|versions| &*versions.answerer).or(client.version);
        } else if pair.answerer == US {
            let client = clients.entry(&pair.offerer).or_default();
            client.offers = Some(pair);
            client.version = versions.map(|versions| &*versions.offerer).or(client.version);
        } else {
            return Err(format!("{name} is not about {US}"));
        }
    }
    Ok(clients)
}

fn count(pair: &Pair) -> String {
    let of = |verdict| pair.scenarios.values().filter(|scenario| scenario.result == verdict).count();
    let [passed, failed, known, skipped] =
        [Verdict::Pass, Verdict::Fail, Verdict::Known, Verdict::Skip].map(of);
    format!("{passed} passed, {} failed, {skipped} skipped", failed + known)
}

fn section(text: &mut String, name: &str, client: &Client<'_>, reasons: &Reasons) -> Result<(), String> {
    let pairs = [(client.answers, "answerer"), (client.offers, "offerer")];
    let scenarios: BTreeSet<&String> =
        pairs.iter().filter_map(|(pair, _)| *pair).flat_map(|pair| pair.scenarios.keys()).collect();
    for scenario in scenarios {
        let mut verdicts = Vec::new();
        let mut whys = Vec::<String>::new();
        for (pair, role) in pairs {
            let result = pair.and_then(|pair| pair.scenarios.get(scenario));
            verdicts.push(result.map_or("–", |result| verdict(result.result)));
            if let Some(result) = result
                && let Some(why) = why(result, reasons.get(scenario, name, role)).map_err(|()| {
                    format!("no reason for {scenario} with {name} as {role}: {:?}", result.why)
                })?
                && !whys.contains(&why)
            {
                whys.push(why);
            }
        }
        let (verdicts, whys) = (verdicts.join(" | "), whys.join("; "));
        writeln!(text, "| {scenario} | {verdicts} | {} |", whys.replace('|', r"\|")).expect(STRING);
    }
    for pair in pairs.iter().filter_map(|(pair, _)| *pair) {
        for again in pair.passed_later() {
            writeln!(text, "\nPassed when it was tried again ({} offers): {again}", pair.offerer)
                .expect(STRING);
        }
    }
    Ok(())
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passed",
        Verdict::Fail | Verdict::Known => "failed",
        Verdict::Skip => "skipped",
    }
}

/// What the table says of a scenario that did not pass.
fn why(scenario: &Scenario, reason: Option<&str>) -> Result<Option<String>, ()> {
    let seen = scenario.why.as_deref().unwrap_or_default();
    match (scenario.result, &scenario.known, reason) {
        (Verdict::Pass, _, _) => Ok(None),
        (Verdict::Skip, _, None) if !seen.is_empty() => Ok(Some(seen.to_owned())),
        (Verdict::Known, Some(known), None) => Ok(Some(format!("theirs: {known}"))),
        (_, _, Some(reason)) => Ok(Some(reason.to_owned())),
        _ => Err(()),
    }
}

const US: &str = "straits";
const STRING: &str = "strings take everything";
const COLUMNS: &str = "\
| scenario | Straits offers | the client offers | why not |
|---|---|---|---|
";
const HEAD: &str = "\
# Interoperability, scenario by scenario

Real sockets between two hosts, Straits on one of them and another stack, a browser or a library, on the other; each scenario
in both directions. *Failed* has its reason and whose it is, *skipped* says which feature is missing where. Made of the
orchestrator's results by `interop-matrix` (`tests/interop/matrix/`).

| client | version | Straits offers | the client offers |
|---|---|---|---|
";

#[cfg(test)]
mod tests {
    use super::*;

    fn results(offered: &str) -> Results {
        Results::parse(&format!(
            r#"{{"straits>x": {{"offerer": "straits", "answerer": "x",
                "versions": {{"offerer": "straits 1", "answerer": "X 7"}}, "scenarios": {{{offered}}}}},
            "x>straits": {{"offerer": "x", "answerer": "straits", "scenarios":
                {{"basic": {{"result": "PASS"}}}}, "flaky": ["basic: slow"]}}}}"#
        ))
    }

    #[test]
    fn what_did_not_pass_says_why() {
        let offered = r#""basic": {"result": "PASS"}, "huge": {"result": "SKIP", "why": "too | small"},
            "odd": {"result": "FAIL", "why": "seen"}, "props": {"result": "KNOWN", "why": "seen", "known": "x: blind"}"#;
        let reasons = Reasons::parse("odd x answerer ours: Straits is odd");
        let text = write(&results(offered), &reasons).unwrap();
        let expected = "\
| x | X 7 | 1 passed, 2 failed, 1 skipped | 1 passed, 0 failed, 0 skipped |

## x, X 7

| scenario | Straits offers | the client offers | why not |
|---|---|---|---|
| basic | passed | passed |  |
| huge | skipped | – | too \\| small |
| odd | failed | – | ours: Straits is odd |
| props | failed | – | theirs: x: blind |

Passed when it was tried again (x offers): basic: slow
";
        assert_eq!(text.strip_prefix(HEAD), Some(expected));
    }

    #[test]
    fn a_failure_without_a_reason_is_an_error() {
        let results = results(r#""odd": {"result": "FAIL", "why": "seen"}"#);
        let error = write(&results, &Reasons::parse("odd x offerer another role")).unwrap_err();
        assert_eq!(error, "no reason for odd with x as answerer: Some(\"seen\")");
    }

    /// The table that is checked in has every client in both directions, and a reason beside everything that did not pass.
    #[test]
    fn the_stored_table_is_whole() {
        let table = include_str!("../../INTEROP.md");
        let sections: Vec<_> = table.split("\n## ").skip(1).collect();
        assert!(sections.len() > crate::CLIENTS.split(',').count(), "and Straits itself");
        for section in sections {
            let rows: Vec<Vec<_>> = section
                .lines()
                .filter(|line| line.starts_with("| "))
                .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
                .collect();
            assert!(rows.iter().any(|row| row[1] == "passed"), "{section}");
            for row in rows.iter().skip(1) {
                let all_passed = row[1..3].iter().all(|verdict| matches!(*verdict, "passed" | "–"));
                assert_eq!(row[3].is_empty(), all_passed, "{row:?}");
            }
        }
    }
}
