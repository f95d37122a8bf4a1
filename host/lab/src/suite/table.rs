//! Tables as text: a line a row, columns parted by `|`, the last ones laid across behind `||`.
//!
//! ```text
//! command | condition || empty | active | held
//! verify  | nothing   || 6985  | 9000   | 9000
//! sign    | pin       || 6985  | 9000   | 6985
//! sign    | nothing   || -     | 6982   | -
//! ```
//!
//! Without `||` each line is one row of values. With it each cell is one: the value of the column heads comes under the
//! name that `across` gives, the cell's own under `cell`; a cell of `-` is none.

use std::ops::Range;

use super::source::Source;

/// One row to unroll: names and their values, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) values: Vec<(String, String)>,
    pub(super) at: Range<usize>,
}

/// No value in this cell.
const NONE: &str = "-";

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

/// Reads a table that stands at `at` in the source, quotes included.
pub(super) fn read(source: &mut Source<'_>, at: &Range<usize>, across: Option<&str>) -> Vec<Row> {
    let raw = source.slice(at);
    let mut rows = Vec::new();
    let mut head: Option<(Vec<String>, Vec<String>)> = None;
    let mut offset = at.start;
    for line in raw.split_inclusive('\n') {
        let begin = offset + (line.len() - line.trim_start().len());
        let here = begin..(offset + line.trim_end().len()).max(begin);
        offset += line.len();
        let line = line.trim().trim_matches('"').trim_matches('\'').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (left, right) = match line.split_once("||") {
            Some((left, right)) => (cells(left), cells(right)),
            None => (cells(line), Vec::new()),
        };
        let Some((names, columns)) = &head else {
            if right.is_empty() != across.is_none() {
                source.error(&here, "a table with || needs across, and across needs a table with ||");
                return rows;
            }
            let twice = left.iter().enumerate().find(|(place, name)| left[..*place].contains(name));
            if let Some((_, name)) = twice {
                source.error(&here, format!("two columns are named {name}"));
                return rows;
            }
            head = Some((owned(&left), owned(&right)));
            continue;
        };
        if left.len() != names.len() || right.len() != columns.len() {
            let (wanted, found) = (names.len() + columns.len(), left.len() + right.len());
            source.error(&here, format!("{found} cells where the head of the table has {wanted}"));
            continue;
        }
        let fixed: Vec<(String, String)> = names.iter().cloned().zip(owned(&left)).collect();
        if columns.is_empty() {
            rows.push(Row { values: fixed, at: here });
            continue;
        }
        for (column, cell) in columns.iter().zip(&right) {
            if *cell == NONE {
                continue;
            }
            let mut values = fixed.clone();
            values.push((across.unwrap_or_default().to_owned(), column.clone()));
            values.push(("cell".to_owned(), (*cell).to_owned()));
            rows.push(Row { values, at: here.clone() });
        }
    }
    rows
}

fn owned(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|c| (*c).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, across: Option<&str>) -> Result<Vec<String>, String> {
        let mut source = Source::new("t", text);
        let rows = read(&mut source, &(0..text.len()), across);
        source.finish().map_err(|e| e.to_string())?;
        Ok(rows
            .iter()
            .map(|r| r.values.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join(" "))
            .collect())
    }

    #[test]
    fn cells_become_rows() {
        let text =
            "\"\"\"\ncommand || empty | active\n# a remark\nsign || 6985 | 9000\nread || - | 6982\n\"\"\"";
        assert_eq!(
            rows(text, Some("state")).unwrap(),
            [
                "command=sign state=empty cell=6985",
                "command=sign state=active cell=9000",
                "command=read state=active cell=6982"
            ]
        );
        assert_eq!(rows("\"\"\"\na | b\n1 | 2\n\"\"\"", None).unwrap(), ["a=1 b=2"]);
    }

    #[test]
    fn a_row_of_another_length_is_named() {
        let error = rows("\"\"\"\na || x | y\nsign || 6985\n\"\"\"", Some("state")).unwrap_err();
        assert_eq!(error, "t:3:1: 2 cells where the head of the table has 3");
        assert!(rows("\"\"\"\na || x\nb || 1\n\"\"\"", None).is_err());
    }
}
