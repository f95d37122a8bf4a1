//! A trace for people.

use std::fmt::Write;

use jpkise_wire::StatusWord;

use super::record::{CommandText, ExchangeRecord, Record};

/// One record as a few lines of text, the last one ended.
///
/// ```text
/// #3      12.4 ms    61 µs  PUT KEY  [secured, before 80D80081 with 70 bytes: key]
///     > 84D80081 …
///     < 9000 success
/// ```
pub fn render(record: &Record) -> String {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = match record {
        Record::Start(start) => {
            let when = start.started.as_deref().unwrap_or("");
            writeln!(out, "{} {}\n    ATR {}", start.reader, when, spaced(&start.atr))
        }
        Record::Reset { time_us, reset, card } => {
            let card = card.as_ref().map(|card| format!("  [card: {card}]")).unwrap_or_default();
            writeln!(
                out,
                "       {}           reset{card}\n    ATR {}",
                milliseconds(*time_us),
                spaced(reset)
            )
        }
        Record::Exchange(exchange) => write_exchange(&mut out, exchange),
    };
    out
}

fn write_exchange(out: &mut String, exchange: &ExchangeRecord) -> std::fmt::Result {
    let ExchangeRecord { index, time_us, duration_us, name, header, .. } = exchange;
    write!(out, "#{index:<5} {} {duration_us:>7} µs  {name}", milliseconds(*time_us))?;
    if let Some(plain) = &exchange.plain {
        write!(out, "  [secured, before {} with {} bytes", plain.header, plain.length)?;
        if let Some(secret) = &plain.secret {
            write!(out, ": {secret}")?;
        }
        write!(out, "]")?;
    }
    match &exchange.command {
        CommandText::Bytes(bytes) => writeln!(out, "\n    > {}", spaced(bytes))?,
        CommandText::Hidden { secret } => writeln!(out, "\n    > {} <{secret}>", spaced(header))?,
    }
    let Some(sw) = &exchange.sw else { return writeln!(out, "    < no answer") };
    let data = exchange.response.as_deref().unwrap_or("");
    let gap = if data.is_empty() { "" } else { " " };
    let meaning = u16::from_str_radix(sw, 16).ok().and_then(|v| StatusWord(v).standard_text());
    writeln!(out, "    < {}{gap}{sw}{}", spaced(data), meaning.map(|m| format!(" {m}")).unwrap_or_default())
}

fn milliseconds(us: u64) -> String {
    format!("{:>8}.{} ms", us / 1000, us % 1000 / 100)
}

/// Header apart, then groups of 32 digits; lines of 64 digits would break a copied command.
fn spaced(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 32 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index == 8 || (index > 8 && (index - 8) % 32 == 0) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
