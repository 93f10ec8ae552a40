//! Programs that some tests use and that need not be there.

use std::io::{self, Write};
use std::path::PathBuf;

/// Where the program is. Without it the test is to end: that is said on the real standard error, where it shows although the
/// test passes, and it is a failure when `STRAITS_REQUIRE`, names with commas between, has the program.
pub fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var("STRAITS_REQUIRE").unwrap_or_default();
        assert!(required.split(',').all(|name| name.trim() != tool), "{tool} not found, but required");
        // What print macros write is kept from the terminal by the test harness.
        let _ = writeln!(io::stderr(), "skipped: {tool} not found");
    }
    found
}
