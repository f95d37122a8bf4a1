//! Lines of a trace.

use std::io::{BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::card::Exchange;
use crate::names::command_name;

/// Longest line of a trace, in bytes: two extended APDUs in hexadecimal take a quarter of it. What is longer is another
/// file, and is not read into memory to find that out.
const MAX_LINE: u64 = 1 << 20;

/// The format's name, in the first line.
pub(super) const FORMAT: &str = "jpkise trace 1";

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Record {
    /// First line: where and when.
    Start(StartRecord),
    /// A command and its answer.
    Exchange(ExchangeRecord),
    /// A cold reset.
    Reset {
        /// Microseconds since the card was opened.
        time_us: u64,
        /// The new ATR, hexadecimal.
        reset: String,
        /// Where a simulated card was put in the place of the one before: the state that it was kept in.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        card: Option<String>,
    },
}

/// First line of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// Name of the format.
    pub format: String,
    /// Wall clock time (RFC 3339), where the caller gave one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started: Option<String>,
    /// Reader or kind of simulation.
    pub reader: String,
    /// ATR, hexadecimal.
    pub atr: String,
}

impl StartRecord {
    /// For a card behind `reader`.
    pub fn new(reader: &str, atr: &[u8], started: Option<String>) -> Self {
        Self { format: FORMAT.to_owned(), started, reader: reader.to_owned(), atr: hex::encode_upper(atr) }
    }
}

/// The bytes of a command, or what they hide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandText {
    /// The whole command as sent, hexadecimal.
    Bytes(String),
    /// Its data hides this.
    Hidden {
        /// Kind of secret.
        secret: String,
    },
}

/// What a secured command was before it was wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainRecord {
    /// CLA INS P1 P2.
    pub header: String,
    /// Length of the data, in bytes.
    pub length: usize,
    /// What the data hides.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub secret: Option<String>,
}

/// A command and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeRecord {
    /// Number, from 1.
    pub index: u64,
    /// Microseconds since the card was opened.
    pub time_us: u64,
    /// Microseconds from command to answer.
    pub duration_us: u64,
    /// Name of the command.
    pub name: String,
    /// CLA INS P1 P2 as sent.
    pub header: String,
    /// The command as sent.
    pub command: CommandText,
    /// The answer's data, hexadecimal; missing when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response: Option<String>,
    /// The status word; missing when there was no answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sw: Option<String>,
    /// Before secure messaging.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plain: Option<PlainRecord>,
}

impl ExchangeRecord {
    /// From what the card showed; this is where secrets stay behind.
    pub fn new(index: u64, exchange: &Exchange<'_>) -> Self {
        let command = match exchange.secret {
            Some(secret) => CommandText::Hidden { secret: secret.name().to_owned() },
            // A command that cannot be coded was never sent, so this one can.
            None => CommandText::Bytes(
                exchange.command.to_bytes().map(|b| hex::encode_upper(b.as_slice())).unwrap_or_default(),
            ),
        };
        let header = exchange.command.header();
        let plain = exchange.plain.as_ref();
        let micros = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Self {
            index,
            time_us: micros(exchange.started),
            duration_us: micros(exchange.took),
            name: command_name(plain.map_or(header, |p| p.header)).into_owned(),
            header: hex::encode_upper(header),
            command,
            response: exchange.response.map(|r| hex::encode_upper(&r.data)),
            sw: exchange.response.map(|r| r.sw.to_string()),
            plain: plain.map(|p| PlainRecord {
                header: hex::encode_upper(p.header),
                length: p.data_length,
                secret: p.secret.map(|s| s.name().to_owned()),
            }),
        }
    }
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is no record.
    #[error("line {line} is no record of a trace: {error}")]
    Line {
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// Another format, or none.
    #[error("not a trace of the format {FORMAT:?}")]
    Format,
}

/// Reads a trace line by line.
pub struct TraceReader<R> {
    input: R,
    line: usize,
}

impl<R: BufRead> TraceReader<R> {
    /// From the beginning of a trace.
    pub fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    fn next_record(&mut self) -> Result<Option<Record>, TraceReadError> {
        loop {
            let mut line = Vec::new();
            let length = self.input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(None);
            }
            self.line += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let record = serde_json::from_slice(&line)
                .map_err(|error| TraceReadError::Line { line: self.line, error })?;
            return match &record {
                Record::Start(start) if start.format != FORMAT => Err(TraceReadError::Format),
                _ => Ok(Some(record)),
            };
        }
    }
}

impl<R: BufRead> Iterator for TraceReader<R> {
    type Item = Result<Record, TraceReadError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}
