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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_both_scripts() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let lines = render(&[row("手順", "ms"), row("ab", "1"), row("合計", "100")]);
        assert_eq!(lines, ["手順   ms", "────  ───", "ab      1", "────  ───", "合計  100"]);
    }
}
