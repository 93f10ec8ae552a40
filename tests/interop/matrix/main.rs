//! Runs every interoperability scenario between Straits and other stacks, and writes `tests/INTEROP.md`.
//!
//! Both are done by programs that are not part of this repository: an orchestrator that takes agents by
//! `--agent NAME=COMMAND` and pairs by `--with`, and writes its results as `--json`; it brings agents for the other stacks.
//! `straits-agent` is ours.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

mod reasons;
mod results;
mod table;

use clap::Parser;
use reasons::Reasons;
use results::Results;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Runs the interoperability matrix and writes its table.
///
/// Needs `straits-agent` built beside this program, the orchestrator with what it needs itself (Python, the other stacks,
/// root for its network namespaces), and up to an hour.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The orchestrator's program, `interop.py`.
    #[arg(long, env = "STRAITS_INTEROP", required_unless_present = "results")]
    orchestrator: Option<PathBuf>,
    /// The other stacks, by the orchestrator's names for their agents; may be empty. Straits meets itself in any case.
    #[arg(long, value_delimiter = ',', default_value = CLIENTS)]
    clients: Vec<String>,
    /// Scenarios as the orchestrator takes them.
    #[arg(long, default_value = "all")]
    scenarios: String,
    /// How often a scenario that failed is tried again; the table tells of it.
    #[arg(long, default_value_t = 1)]
    retries: u32,
    /// Makes the table of the JSON of earlier runs instead; of a scenario that is in several the last counts.
    #[arg(long, num_args = 1..)]
    results: Vec<PathBuf>,
    /// Where the table goes.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/INTEROP.md"))]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let results = match &arguments.orchestrator {
        Some(orchestrator) if arguments.results.is_empty() => play(orchestrator, arguments)?,
        _ => Results::read(&arguments.results)?,
    };
    let table = table::write(&results, &Reasons::known())?;
    std::fs::write(&arguments.output, table)?;
    println!("wrote {}", arguments.output.display());
    Ok(())
}

fn play(orchestrator: &Path, arguments: &Arguments) -> Result<Results, Box<dyn Error>> {
    if !orchestrator.is_file() {
        return Err(format!("there is no orchestrator at {}", orchestrator.display()).into());
    }
    let agent = std::env::current_exe()?.with_file_name("straits-agent");
    if !agent.is_file() {
        let advice = "cargo build --release -p straits-tests --bins";
        return Err(format!("there is no {}; build it first: {advice}", agent.display()).into());
    }
    let json = std::env::temp_dir().join(format!("straits-interop-{}.json", std::process::id()));
    let status = Command::new("python3")
        .arg(orchestrator)
        .arg("--agent")
        .arg(format!("straits={}", quoted(&agent)))
        .args(["--with", "straits"])
        .arg(partners(&arguments.clients))
        .args(["--scenarios", &arguments.scenarios])
        .args(["--retries", &arguments.retries.to_string()])
        .arg("--json")
        .arg(&json)
        .status()
        .map_err(|error| format!("python3: {error}"))?;
    // 1: something failed, which the table says. Others: it did not run.
    if !matches!(status.code(), Some(0 | 1)) {
        return Err(format!("the orchestrator ended with {status}").into());
    }
    let results = Results::read(&[&json])?;
    std::fs::remove_file(json)?;
    Ok(results)
}

/// Straits and the clients, as the orchestrator takes them.
fn partners(clients: &[String]) -> String {
    let clients = clients.iter().map(String::as_str).filter(|client| !client.is_empty());
    ["straits"].into_iter().chain(clients).collect::<Vec<_>>().join(",")
}

/// One word for the orchestrator, which splits commands as a shell does.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

const CLIENTS: &str = "chromium,chromium-nomdns,firefox,firefox-nomdns,ndc,webrtc-rs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn straits_meets_itself_also_without_others() {
        let clients = |list: &str| list.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(partners(&clients("")), "straits");
        assert_eq!(partners(&clients("ndc,firefox")), "straits,ndc,firefox");
    }

    #[test]
    fn paths_are_one_word() {
        assert_eq!(quoted(Path::new("/a b/c'd")), r"'/a b/c'\''d'");
    }
}
