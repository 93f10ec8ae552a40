//! Real browsers, driven as a person would through their WebDriver servers (W3C WebDriver).
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "tools.rs"]
mod tools;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder};
use futures_util::FutureExt;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chromium,
    Firefox,
}

/// Runs the test in a browser of its own. Without one on this machine it says so and returns, unless the environment
/// variable `STRAITS_REQUIRE` names the browser.
pub(crate) async fn in_browser(kind: Kind, test: impl AsyncFnOnce(Page)) {
    let Some((browser, driver)) = kind.find() else { return };
    let session = Session::start(kind, &browser, &driver).await;
    let page = Page { client: session.client.clone() };
    let outcome = AssertUnwindSafe(test(page)).catch_unwind().await;
    session.end().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// The window of the browser.
#[derive(Clone)]
pub(crate) struct Page {
    client: Client,
}

impl Page {
    pub(crate) async fn open(&self, url: &str) {
        soon("the page", self.client.goto(url)).await.unwrap();
    }

    /// Runs the body of an asynchronous function of `a`, `b`, … in the page and gives what it returns; what it throws
    /// fails the test.
    pub(crate) async fn run(&self, body: &str, arguments: Vec<Value>) -> Value {
        self.attempt(body, arguments).await.unwrap_or_else(|error| panic!("{error} in the page, at {body}"))
    }

    /// As `run`, but what it throws is an error.
    pub(crate) async fn attempt(&self, body: &str, arguments: Vec<Value>) -> Result<Value, String> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (a, b, c, d) => {{ {body} }})(...[...arguments].slice(0, -1)).then(
                 (value) => done({{ value: value === undefined ? null : value }}),
                 (error) => done({{ error: `${{error.name}}: ${{error.message}}` }}));"
        );
        let outcome = soon(body, self.client.execute_async(&script, arguments)).await;
        let mut outcome = outcome.map_err(|error| format!("{error}"))?;
        match outcome.get("error") {
            Some(error) => Err(error.as_str().unwrap().to_owned()),
            None => Ok(outcome["value"].take()),
        }
    }

    /// Waits until an expression is true, looking again whenever something changes on the page.
    pub(crate) async fn until(&self, expression: &str) {
        let body = format!(
            "const holds = () => {{ return ({expression}); }};
             if (holds()) return;
             await new Promise((resolve) => {{
                 const observer = new MutationObserver(() => {{
                     if (holds()) {{ observer.disconnect(); resolve(); }}
                 }});
                 const all = {{ subtree: true, childList: true, characterData: true, attributes: true }};
                 observer.observe(document, all);
             }});"
        );
        if let Err(error) = self.attempt(&body, vec![]).await {
            panic!("waited for {expression}: {error}; the page: {}", self.text("body").await);
        }
    }

    /// Waits until the element is enabled, and clicks it as a person does.
    pub(crate) async fn click(&self, id: &str) {
        self.until(&format!("!document.getElementById('{id}').disabled")).await;
        self.element(&format!("#{id}")).await.click().await.unwrap();
    }

    pub(crate) async fn type_into(&self, id: &str, text: &str) {
        self.until(&format!("!document.getElementById('{id}').disabled")).await;
        self.element(&format!("#{id}")).await.send_keys(text).await.unwrap();
    }

    /// What a person reads there.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.element(selector).await.text().await.unwrap()
    }

    async fn element(&self, selector: &str) -> fantoccini::elements::Element {
        self.client.find(fantoccini::Locator::Css(selector)).await.unwrap()
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox",
        }
    }

    /// The programs of the browser and of its driver; `None` after a word about what is missing.
    fn find(self) -> Option<(PathBuf, PathBuf)> {
        let (browsers, driver): (&[_], _) = match self {
            Self::Chromium => (&["chromium", "chromium-browser", "google-chrome"], "chromedriver"),
            Self::Firefox => (&["firefox", "firefox-esr"], "geckodriver"),
        };
        let browser = tools::find_any(self.name(), browsers)?;
        Some((browser, tools::find_any(self.name(), &[driver])?))
    }

    fn driver_arguments(self, profile: &Path) -> Vec<String> {
        match self {
            Self::Chromium => vec!["--port=0".to_owned()],
            Self::Firefox => {
                let root = profile.display().to_string();
                ["--host", "127.0.0.1", "--port", "0", "--profile-root", &root].map(str::to_owned).into()
            }
        }
    }

    fn capabilities(self, browser: &Path, profile: &Path) -> Capabilities {
        let capabilities = match self {
            Self::Chromium => json!({ "browserName": "chrome", "goog:chromeOptions": {
                "binary": browser,
                "args": [
                    "--headless=new",
                    // Its sandbox refuses to run as root, as which containers run; only pages of these tests are opened.
                    "--no-sandbox",
                    "--disable-dev-shm-usage",
                    "--disable-gpu",
                    format!("--user-data-dir={}", profile.display()),
                ],
            } }),
            Self::Firefox => json!({ "browserName": "firefox", "moz:firefoxOptions": {
                "binary": browser,
                "args": ["-headless"],
            } }),
        };
        let mut capabilities = capabilities.as_object().unwrap().clone();
        capabilities.insert("timeouts".to_owned(), json!({ "script": PATIENCE.as_millis() as u64 }));
        capabilities
    }
}

/// A running browser.
struct Session {
    client: Client,
    /// Its end is theirs: see [`spawn`].
    group: Child,
    _profile: TempDir,
}

impl Session {
    async fn start(kind: Kind, browser: &Path, driver: &Path) -> Self {
        let profile = TempDir::with_prefix(format!("straits-{}-", kind.name())).unwrap();
        let (group, port) = spawn(driver, &kind.driver_arguments(profile.path()), profile.path()).await;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(kind.capabilities(browser, profile.path()));
        let url = format!("http://127.0.0.1:{port}");
        let client = soon("the browser", builder.connect(&url)).await.unwrap();
        Self { client, group, _profile: profile }
    }

    async fn end(mut self) {
        // The browser may be beyond hearing: the group ends in any case, and before its profile is removed.
        let _ = soon("the end of the browser", self.client.close()).await;
        drop(self.group.stdin.take());
        soon("the end of the driver", self.group.wait()).await.unwrap();
    }
}

/// Starts a driver; gives its group of processes and its port.
///
/// A shell leads the group and kills all of it, browsers included, when its input ends: that is when the `Child` is dropped,
/// or this process ends, however it does.
async fn spawn(driver: &Path, arguments: &[String], home: &Path) -> (Child, u16) {
    let mut group = Command::new("sh")
        .args(["-c", r#""$@" & read -r _; kill -s KILL -- -$$"#, "sh"])
        .arg(driver)
        .args(arguments)
        .env("HOME", home)
        .env("TMPDIR", home)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(group.stdout.take().unwrap()).lines();
    let port = soon("the driver's port", async {
        while let Some(line) = output.next_line().await.unwrap() {
            if let Some(port) = port(&line) {
                return port;
            }
        }
        panic!("{} ended before it listened", driver.display());
    })
    .await;
    // What it says later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = output.next_line().await {} });
    (group, port)
}

/// "ChromeDriver was started successfully on port 40123.", "… Listening on 127.0.0.1:40123"
fn port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once(" on ")?;
    let port =
        rest.trim_start_matches("port ").trim_start_matches("127.0.0.1:").trim_end_matches('.').parse();
    // "Starting ChromeDriver … on port 0": the one that was asked for.
    port.ok().filter(|&port| port != 0)
}

/// Fails the test when it takes too long.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// Longer than the cold start of a browser takes on a busy machine, and more than anything else here.
const PATIENCE: Duration = Duration::from_secs(120);
