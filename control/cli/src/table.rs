//! Text for people: aligned columns, times, amounts.

use jiff::Timestamp;

/// Columns under their headings, two spaces apart.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            rows: vec![
                headings
                    .iter()
                    .map(|heading| (*heading).to_owned())
                    .collect(),
            ],
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{:width$}  ", clean(cell)));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// One `name  value` line each, the values aligned.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or_default();
    pairs
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", clean(value)))
        .collect()
}

/// Control characters would reach the terminal: names and details come from the wire.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// `2026-01-02 03:04:05 UTC`.
pub(crate) fn time(unix_s: u64) -> String {
    i64::try_from(unix_s)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "?".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        )
}

/// `2026-01-02`.
pub(crate) fn date(unix_s: u64) -> String {
    time(unix_s).chars().take("2026-01-02".len()).collect()
}

/// `3 d 4 h`, `5 min 6 s`: the two greatest units.
pub(crate) fn span(seconds: u64) -> String {
    let parts = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut told = Vec::new();
    for (unit, name) in parts {
        if rest >= unit && told.len() < 2 {
            told.push(format!("{} {name}", rest / unit));
            rest %= unit;
        } else if !told.is_empty() {
            break;
        }
    }
    if told.is_empty() {
        "0 s".to_owned()
    } else {
        told.join(" ")
    }
}

/// `a`, or `-` when there is none.
pub(crate) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["NAME", "N"]);
        table.row(vec!["a".to_owned(), "1".to_owned()]);
        table.row(vec!["longer é".to_owned(), "22".to_owned()]);
        assert_eq!(table.render(), "NAME      N\na         1\nlonger é  22\n");
        assert_eq!(
            pairs(&[("a", "1".to_owned()), ("long", "2".to_owned())]),
            "a     1\nlong  2\n"
        );
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&["SNI"]);
        table.row(vec!["a\u{1b}[2Jb\nc".to_owned()]);
        let text = table.render();
        assert!(!text.contains('\u{1b}'));
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn times_and_spans() {
        assert_eq!(time(1_767_323_045), "2026-01-02 03:04:05 UTC");
        assert_eq!(date(1_767_323_045), "2026-01-02");
        assert_eq!(time(u64::MAX), "?");
        assert_eq!(span(0), "0 s");
        assert_eq!(span(59), "59 s");
        assert_eq!(span(3_600), "1 h");
        assert_eq!(span(90_061), "1 d 1 h");
        assert_eq!(span(3_605), "1 h");
        assert_eq!(span(366), "6 min 6 s");
    }
}
