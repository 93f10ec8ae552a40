//! Programs that some tests use and that need not be there.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io::{self, Write};
use std::path::PathBuf;

/// Where the program is. Without it the test is to end: that is said on the real standard error, where it shows although the
/// test passes, and it is a failure when `STRAITS_REQUIRE`, names with commas between, has the program.
pub fn find(tool: &str) -> Option<PathBuf> {
    find_any(tool, &[tool])
}

/// The same for a program with several names, or one that comes with the `tool`: it is the tool that may be required.
pub fn find_any(tool: &str, programs: &[&str]) -> Option<PathBuf> {
    let found = programs.iter().find_map(|program| in_path(program));
    if found.is_none() {
        skip(tool, &format!("{} not found", programs[0]));
    }
    found
}

/// Says that the test ends here, and why; the tool must not be a required one.
pub fn skip(tool: &str, why: &str) {
    let required = std::env::var("STRAITS_REQUIRE").unwrap_or_default();
    assert!(required.split(',').all(|name| name.trim() != tool), "{why}, but required");
    // What print macros write is kept from the terminal by the test harness.
    let _ = writeln!(io::stderr(), "skipped: {why}");
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
