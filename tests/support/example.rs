//! Examples as a user runs them: built by cargo, as processes with pipes.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(dead_code, reason = "each test binary uses its part")]

use crate::support::soon;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::mpsc;

/// A running example. It is killed when this is dropped.
pub(crate) struct Example {
    child: Child,
    input: ChildStdin,
    output: mpsc::UnboundedReceiver<String>,
    errors: mpsc::UnboundedReceiver<String>,
}

/// How an example ended, with what it wrote and nobody has read before.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) output: Vec<String>,
    pub(crate) errors: Vec<String>,
}

impl Example {
    pub(crate) fn start(name: &str, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        let mut child = tokio::process::Command::new(executable(name))
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        Self { child, input, output, errors }
    }

    /// The next line of its output.
    pub(crate) async fn line(&mut self) -> String {
        match soon("a line", self.output.recv()).await {
            Some(line) => line,
            None => panic!("it ended with {:?}", soon("the errors", rest(&mut self.errors)).await),
        }
    }

    /// The next line of its errors that has `part` in it; those before are passed over.
    pub(crate) async fn error_with(&mut self, part: &str) -> String {
        let mut passed = Vec::new();
        while let Some(line) = soon(part, self.errors.recv()).await {
            if line.contains(part) {
                return line;
            }
            passed.push(line);
        }
        panic!("no line with {part:?} in {passed:?}");
    }

    /// Types a line.
    pub(crate) async fn enter(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Ends it without a chance to say goodbye.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn end(mut self) -> End {
        let status = soon("the end of the process", self.child.wait()).await.unwrap();
        let output = soon("the rest of its output", rest(&mut self.output)).await;
        let errors = soon("the rest of its errors", rest(&mut self.errors)).await;
        End { code: status.code(), output, errors }
    }
}

fn lines(pipe: impl AsyncRead + Send + Unpin + 'static) -> mpsc::UnboundedReceiver<String> {
    let (tell, lines) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe).lines();
        while let Some(line) = pipe.next_line().await.unwrap() {
            // Who does not want it does not get it; the pipe is emptied all the same.
            let _ = tell.send(line);
        }
    });
    lines
}

async fn rest(lines: &mut mpsc::UnboundedReceiver<String>) -> Vec<String> {
    let mut rest = Vec::new();
    while let Some(line) = lines.recv().await {
        rest.push(line);
    }
    rest
}

/// Builds the example, in the profile and with the features of this test, and says where it is.
///
/// Cargo builds examples for the tests of their own package only. As one of the workspace it has the features that it has
/// in `cargo test --workspace`, after which there is nothing to build any more.
///
/// Each test binary is about one example.
fn executable(name: &str) -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build(name))
}

fn build(name: &str) -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--message-format=json", "--example", name]);
    cargo.args(["--profile", if cfg!(debug_assertions) { "dev" } else { "release" }]);
    if !cfg!(feature = "vendored") {
        cargo.arg("--no-default-features");
    }
    let built = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(built.status.success(), "cargo could not build the example {name}");
    let artifacts = serde_json::Deserializer::from_slice(&built.stdout).into_iter::<serde_json::Value>();
    artifacts
        .map(Result::unwrap)
        .filter(|artifact| artifact["target"]["name"] == name)
        .find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from))
        .unwrap()
}
