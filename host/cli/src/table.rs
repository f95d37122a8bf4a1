//! Tables for a terminal: first column left, numbers right, Japanese characters two cells wide.

use unicode_width::UnicodeWidthStr;

/// Rows of equal length as lines; a rule under the first and above the last, which is a sum.
pub fn render<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    lines(rows, true)
}

/// Rows of equal length as lines; a rule under the first.
pub fn listing<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    lines(rows, false)
}

fn lines<const N: usize>(rows: &[[String; N]], summed: bool) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let rule = widths.map(|w| "─".repeat(w)).join("  ");
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if index == 1 || (summed && index > 1 && index + 1 == rows.len()) {
            lines.push(rule.clone());
        }
        let cells: [String; N] = std::array::from_fn(|column| {
            let padding = " ".repeat(widths[column] - row[column].width());
            if column == 0 {
                format!("{}{padding}", row[column])
            } else {
                format!("{padding}{}", row[column])
            }
        });
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    lines
}

/// Rows of words as lines, every column left; a rule under the first row.
pub fn list<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0));
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if index == 1 {
            lines.push(widths.map(|w| "─".repeat(w)).join("  "));
        }
        let cells: [String; N] = std::array::from_fn(|column| {
            format!("{}{}", row[column], " ".repeat(widths[column] - row[column].width()))
        });
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_scripts() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let lines = render(&[row("手順", "ms"), row("ab", "1"), row("合計", "100")]);
        assert_eq!(lines, ["手順   ms", "────  ───", "ab      1", "────  ───", "合計  100"]);
    }

    #[test]
    fn a_list_has_no_last_row_apart() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let lines = list(&[row("", "規則"), row("1", "ab"), row("12", "c")]);
        assert_eq!(lines, ["    規則", "──  ────", "1   ab", "12  c"]);
    }
}
