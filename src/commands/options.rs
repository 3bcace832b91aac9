//! What several commands' options and help have in common.

/// What every command's help ends with, below a heading.
pub const STATUSES: &str = "\
0  done; nothing wrong found
1  the answer is no: the offset is not in the log, nothing to undo, ...
2  could not do it: usage, no such directory, no permission, I/O error
3  damage: verify found some, or it stands in what was asked for
4  in use by another process";

/// A size: `4096`, `64KiB`, `64K`, `1GiB`, `1G` (1024 each).
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "a size is a number and a unit, as 4096, 64KiB or 1G".to_owned())?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => {
            return Err(format!(
                "no unit is called {unit:?}: K, M, G, T or KiB, MiB, ..."
            ));
        }
    };
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "larger than 2^64 - 1 bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64KiB"), Ok(65536));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert!(size("").is_err());
        assert!(size("K").is_err());
        assert!(size("-1").is_err());
        assert!(size("1.5G").is_err());
        assert!(size("99999999T").is_err());
    }
}
