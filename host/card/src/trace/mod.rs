//! The trace: every exchange as a line of JSON, and the same lines in a form for people.
//!
//! A trace is made to be attached to an issue: nothing secret is in it from the start. The bytes of secured commands
//! stay; a command in clear whose data hides something carries `{"secret": "pin"}` in place of its bytes.
//!
//! ```text
//! {"format":"jpkise trace 1","started":"2026-11-23T10:17:00Z","reader":"…","atr":"3B…"}
//! {"index":1,"time_us":812,"duration_us":61,"name":"SELECT","header":"00A40400","command":"00A4040000",
//!  "response":"6F10…","sw":"9000"}
//! {"index":2,…,"name":"VERIFY","header":"00200080","command":{"secret":"pin"},"response":"","sw":"9000"}
//! {"index":3,…,"name":"PUT KEY","header":"84D80081","command":"84D8…","response":"…","sw":"9000",
//!  "plain":{"header":"80D80081","length":70,"secret":"key"}}
//! {"time_us":90211,"reset":"3B…"}
//! {"time_us":90304,"reset":"3B…","card":"active(01) active(02)"}
//! ```

mod record;
mod recorder;
mod render;

pub use record::{
    CommandText, ExchangeRecord, PlainRecord, Record, StartRecord, TraceReadError, TraceReader,
};
pub use recorder::{create_file, Recorder, TraceHandle, TraceSummary, Watcher};
pub use render::render;
