//! How long the steps of a case may take.

use std::time::{Duration, Instant};

use super::outcome::Mismatch;

/// Place of the mismatch of a case that took too long.
pub(super) const TIME_OF_THE_CASE: &str = "time of the case";

/// Since when a case's steps run, and how long they may.
pub(super) struct CaseTime {
    started: Instant,
    limit: Option<Duration>,
}

/// More than was allowed.
pub(super) struct TooLong {
    took: Duration,
    limit: Duration,
}

impl CaseTime {
    /// From now on.
    pub(super) fn start(limit: Option<Duration>) -> Self {
        Self { started: Instant::now(), limit }
    }

    /// When it ends at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.started.checked_add(self.limit?)
    }

    /// Whether it took too long by now.
    pub(super) fn ran_out(&self) -> Option<TooLong> {
        let took = self.started.elapsed();
        let limit = self.limit.filter(|limit| took >= *limit)?;
        Some(TooLong { took, limit })
    }
}

impl TooLong {
    /// As what the case differs in.
    pub(super) fn mismatch(&self, when: &str) -> Mismatch {
        let found = format!("{} by {when}", milliseconds(self.took));
        Mismatch::new(TIME_OF_THE_CASE, format!("at most {}", milliseconds(self.limit)), found)
    }
}

/// Whole where the time is.
pub(super) fn milliseconds(time: Duration) -> String {
    let micros = time.as_micros();
    if micros % 1000 == 0 {
        format!("{} ms", micros / 1000)
    } else {
        // What went beyond a limit must not read as the limit.
        format!("{}.{} ms", micros.div_ceil(100) / 10, micros.div_ceil(100) % 10)
    }
}
