//! How long a command that writes waits for other processes: the options and their
//! meaning.

use std::time::Duration;

use proglog::log::lock::Wait;
use proglog::mend::exclusive::Others;

use super::options;

/// How long another proglog is waited for, if nothing is said.
const OTHER_PROGLOG: Duration = Duration::from_secs(10);

/// The policy for other processes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Waiting {
    /// Wait for other processes for up to SECONDS, or without a limit if SECONDS is
    /// absent (30, 0.5, 5m; a number after --wait is SECONDS) [default: 10 s for another
    /// proglog, 0 for other programs]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true,
          default_missing_value = "forever", value_parser = time)]
    pub wait: Option<Wait>,
    /// Proceed even if proglog cannot tell whether another process is writing
    #[arg(long)]
    pub assume_unused: bool,
}

impl Waiting {
    /// How long another proglog is waited for.
    pub fn for_proglog(self) -> Wait {
        self.wait.unwrap_or(Wait::AtMost(OTHER_PROGLOG))
    }

    /// How long any other program is waited for.
    pub fn for_others(self) -> Wait {
        self.wait.unwrap_or(Wait::AtMost(Duration::ZERO))
    }

    /// The same, for the library.
    pub fn others(self) -> Others<'static> {
        Others {
            wait: self.for_others(),
            assume_unused: self.assume_unused,
            interrupted: &|| false,
        }
    }
}

/// A time to wait.
fn time(text: &str) -> Result<Wait, String> {
    if text == "forever" {
        return Ok(Wait::Forever);
    }
    options::seconds(text).map(Wait::AtMost)
}
