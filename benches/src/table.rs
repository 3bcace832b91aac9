//! The tables, in Markdown, a row at a time as it is measured.

use crate::rows::{Limit, Row};
use crate::run::{Pair, mebibytes, median};

/// Prints a line of cells.
pub fn line(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Prints the head of a table, and the rule below it.
pub fn head(cells: &[&str]) {
    println!();
    line(
        &cells
            .iter()
            .map(|&cell| cell.to_owned())
            .collect::<Vec<_>>(),
    );
    let rule = |at| {
        if at == 0 {
            "---".to_owned()
        } else {
            "--:".to_owned()
        }
    };
    line(&(0..cells.len()).map(rule).collect::<Vec<_>>());
}

/// Prints a measured row, and says whether it stands where it must.
pub fn pair(row: &Row, pair: &Pair) -> bool {
    let (ours, other, ratio) = (median(&pair.ours), median(&pair.other), pair.ratio());
    let (low, high) = pair.spread();
    let more = (ours - other) * 1e3;
    let (limit, holds) = match row.limit {
        Limit::Times(limit) => (format!("{limit} x"), ratio <= limit),
        Limit::Plus(limit) => (format!("+ {limit} ms"), more <= limit),
        Limit::None => (String::new(), true),
    };
    let result = match row.limit {
        Limit::Plus(_) => format!("{more:+.1} ms"),
        _ => format!("{ratio:.2} x ({low:.2}..{high:.2})"),
    };
    line(&[
        row.work.clone(),
        row.against.to_owned(),
        seconds(ours),
        seconds(other),
        if holds {
            result
        } else {
            format!("**{result}**")
        },
        limit,
        mebibytes(&pair.ours).to_string(),
    ]);
    holds
}

/// A time with as many digits as mean something.
pub fn seconds(time: f64) -> String {
    if time < 0.1 {
        format!("{:.1} ms", time * 1e3)
    } else {
        format!("{time:.2} s")
    }
}
