//! Recordings: our trace, and lines of hexadecimal as other tools print them.

use std::io::BufRead;

use jpkise_card::trace::{CommandText, Record, TraceReadError, TraceReader};

/// One exchange of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Line of the command, from 1.
    pub line: usize,
    /// CLA INS P1 P2.
    pub header: [u8; 4],
    /// The command; `None` when its bytes were left out of the recording.
    pub command: Option<Vec<u8>>,
    /// The answer with its status word.
    pub response: Option<Vec<u8>>,
}

/// Why lines are no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct HexLineError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: &'static str,
}

/// Exchanges of a trace in our own format.
pub fn trace_lines(input: impl BufRead) -> Result<Vec<Recorded>, TraceReadError> {
    let mut out = Vec::new();
    for (index, record) in TraceReader::new(input).enumerate() {
        let Record::Exchange(exchange) = record? else { continue };
        let mut header = [0; 4];
        // A header that is none shows as zeros; the bytes beside it are what counts.
        let _ = hex::decode_to_slice(&exchange.header, &mut header);
        let command = match &exchange.command {
            CommandText::Bytes(bytes) => Some(hex::decode(bytes).unwrap_or_default()),
            CommandText::Hidden { .. } => None,
        };
        let response = exchange.sw.as_ref().map(|sw| {
            hex::decode(format!("{}{sw}", exchange.response.as_deref().unwrap_or_default()))
                .unwrap_or_default()
        });
        out.push(Recorded { line: index + 1, header, command, response });
    }
    Ok(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Command,
    Response,
}

/// Exchanges from lines of hexadecimal: commands and answers in turn, or marked as other tools mark them (`>`, `>>`,
/// `A>>`, `C:`, `=>` for commands; `<`, `<<`, `A<<`, `R:`, `<=` for answers). Blanks, `T=1` and what stands in brackets
/// are left out; `#` begins a comment.
pub fn hex_lines(text: &str) -> Result<Vec<Recorded>, HexLineError> {
    let mut out: Vec<Recorded> = Vec::new();
    let mut due = Direction::Command;
    for (index, line) in text.lines().enumerate() {
        let error = |problem| HexLineError { line: index + 1, problem };
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (marked, digits) = direction(line);
        let bytes = digits_of(digits).ok_or(error("not hexadecimal"))?;
        match marked.unwrap_or(due) {
            Direction::Command => {
                let Some(&[a, b, c, d]) = bytes.first_chunk::<4>() else {
                    return Err(error("a command has at least four bytes"));
                };
                let header = [a, b, c, d];
                out.push(Recorded { line: index + 1, header, command: Some(bytes), response: None });
                due = Direction::Response;
            }
            Direction::Response => {
                let last = out.last_mut().filter(|r| r.response.is_none());
                last.ok_or(error("an answer without a command"))?.response = Some(bytes);
                due = Direction::Command;
            }
        }
    }
    Ok(out)
}

fn direction(line: &str) -> (Option<Direction>, &str) {
    const COMMAND: [&str; 8] = ["A>>", ">>", "=>", "->", "C-APDU:", "C:", "C>", ">"];
    const RESPONSE: [&str; 8] = ["A<<", "<<", "<=", "<-", "R-APDU:", "R:", "R<", "<"];
    for (markers, direction) in [(COMMAND, Direction::Command), (RESPONSE, Direction::Response)] {
        if let Some(rest) = markers.iter().find_map(|marker| line.strip_prefix(marker)) {
            return (Some(direction), rest);
        }
    }
    (None, line)
}

fn digits_of(text: &str) -> Option<Vec<u8>> {
    let mut depth = 0usize;
    let mut outside = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    let digits: String = outside
        .split_whitespace()
        .filter(|word| !matches!(*word, "T=0" | "T=1" | "T=CL"))
        .flat_map(str::chars)
        .filter(|c| *c != ':')
        .collect();
    hex::decode(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_and_marked_lines_read_alike() {
        let bare = "00A4040000\n6F00 9000\n\n# comment\n80CA006600\n6A88";
        let marked =
            "A>> T=1 (4+0000) 00A40400 00\nA<< (0002+2) (35ms) 6F00 9000\n> 80:CA:00:66:00\n< 6A88 # unknown";
        for text in [bare, marked] {
            let read = hex_lines(text).unwrap();
            assert_eq!(read.len(), 2, "{text}");
            assert_eq!(read[0].command.as_deref(), Some(&[0, 0xA4, 4, 0, 0][..]));
            assert_eq!(read[0].response.as_deref(), Some(&[0x6F, 0, 0x90, 0][..]));
            assert_eq!(read[1].header, [0x80, 0xCA, 0, 0x66]);
        }
    }

    #[test]
    fn lines_that_are_no_recording_are_refused_with_their_number() {
        for (text, line) in
            [("zz", 1), ("00A4", 1), ("< 9000", 1), ("> 00A40400\n< 9000\n< 9000", 3), ("> (00A4", 1)]
        {
            let result = hex_lines(text);
            assert_eq!(result.unwrap_err().line, line, "{text}");
        }
        // A command without answer is how a recording ends when the card leaves.
        assert_eq!(hex_lines("> 00A40400").unwrap()[0].response, None);
    }
}
