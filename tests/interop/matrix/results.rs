//! What the orchestrator wrote.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The results of pairs, by `offerer>answerer`.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Results {
    pub(crate) pairs: BTreeMap<String, Pair>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pair {
    pub(crate) offerer: String,
    pub(crate) answerer: String,
    pub(crate) versions: Option<Versions>,
    pub(crate) scenarios: BTreeMap<String, Scenario>,
    /// `scenario: why` of those that failed before they were tried again.
    #[serde(default)]
    pub(crate) flaky: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Versions {
    pub(crate) offerer: String,
    pub(crate) answerer: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) result: Verdict,
    /// What the orchestrator saw, unless it passed.
    pub(crate) why: Option<String>,
    /// Which limit of the other stack it is.
    pub(crate) known: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    /// Failed by a limit of the other stack that the orchestrator knows of.
    Known,
    Skip,
}

impl Results {
    pub(crate) fn read(paths: &[impl AsRef<Path>]) -> Result<Self, Box<dyn Error>> {
        let mut all = Self::default();
        for path in paths {
            let path = path.as_ref();
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let more = serde_json::from_reader(BufReader::new(file))
                .map_err(|error| format!("{}: {error}", path.display()))?;
            all.add(more);
        }
        Ok(all)
    }

    fn add(&mut self, more: Self) {
        for (name, pair) in more.pairs {
            match self.pairs.get_mut(&name) {
                Some(known) => {
                    known.flaky.retain(|flaky| !pair.scenarios.contains_key(scenario_of(flaky)));
                    known.flaky.extend(pair.flaky);
                    known.scenarios.extend(pair.scenarios);
                    known.versions = pair.versions.or(known.versions.take());
                }
                None => {
                    self.pairs.insert(name, pair);
                }
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn parse(json: &str) -> Self {
        serde_json::from_str(json).unwrap()
    }
}

impl Pair {
    /// Those of [`flaky`](Self::flaky) that passed in the end.
    pub(crate) fn passed_later(&self) -> impl Iterator<Item = &String> {
        let verdict = |flaky: &str| Some(self.scenarios.get(scenario_of(flaky))?.result);
        self.flaky.iter().filter(move |flaky| verdict(flaky) == Some(Verdict::Pass))
    }
}

fn scenario_of(flaky: &str) -> &str {
    flaky.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_counts_and_the_rest_stays() {
        let mut all = Results::parse(
            r#"{"a>b": {"offerer": "a", "answerer": "b", "versions": {"offerer": "1", "answerer": "2"},
                "scenarios": {"basic": {"result": "FAIL", "why": "x"}, "huge": {"result": "SKIP", "why": "y"}},
                "flaky": ["basic: x"]}}"#,
        );
        all.add(Results::parse(
            r#"{"a>b": {"offerer": "a", "answerer": "b", "scenarios": {"basic": {"result": "PASS"}}},
                "b>a": {"offerer": "b", "answerer": "a", "scenarios": {}}}"#,
        ));
        let pair = &all.pairs["a>b"];
        assert_eq!(pair.scenarios["basic"].result, Verdict::Pass);
        assert_eq!(pair.scenarios["huge"].result, Verdict::Skip);
        assert_eq!((pair.flaky.len(), pair.versions.as_ref().map(|v| &*v.answerer)), (0, Some("2")));
        assert_eq!(all.pairs.len(), 2);
    }

    #[test]
    fn what_failed_twice_did_not_pass_later() {
        let all = Results::parse(
            r#"{"a>b": {"offerer": "a", "answerer": "b", "flaky": ["basic: x", "huge: y"],
                "scenarios": {"basic": {"result": "PASS"}, "huge": {"result": "FAIL", "why": "y"}}}}"#,
        );
        assert_eq!(all.pairs["a>b"].passed_later().collect::<Vec<_>>(), ["basic: x"]);
    }
}
