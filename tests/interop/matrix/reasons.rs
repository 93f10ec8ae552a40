//! Why scenarios fail that the orchestrator has no explanation for.

use std::collections::BTreeMap;

/// The reasons by scenario, client, and the client's role.
#[derive(Debug)]
pub(crate) struct Reasons(BTreeMap<[String; 3], String>);

impl Reasons {
    /// Those that were found out.
    pub(crate) fn known() -> Self {
        Self::parse(include_str!("reasons.txt"))
    }

    /// Lines of three words and a sentence.
    pub(crate) fn parse(lines: &str) -> Self {
        let parse = |line: &str| {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_else(|| panic!("too short: {line}"));
            ([word(), word(), word()], word())
        };
        Self(lines.lines().map(parse).collect())
    }

    pub(crate) fn get(&self, scenario: &str, client: &str, role: &str) -> Option<&str> {
        self.0.get(&[scenario, client, role].map(str::to_owned)).map(String::as_str)
    }
}
