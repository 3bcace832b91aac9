//! Options and help that several commands share.

use std::num::NonZeroU64;
use std::time::Duration;

/// The exit statuses, at the end of the help of every command.
pub const STATUSES: &str = "\
0  success; no problem found
1  negative result: the offset is not in the log, nothing to undo, ...
2  failure: usage, no such directory, no permission, I/O error
3  damage, found by verify or in the requested records
4  in use by another process";

/// The help of `--codec`, the same in every command that reads a log.
pub const CODEC: &str = "Read the payloads as raw or protobuf [default: detected]";

/// The sizes at which a segment is full.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct SegmentSizes {
    /// Start a new segment when a store has this size [default: as the log shows, or 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_store_bytes: Option<u64>,
    /// Start a new segment when an index has this size [default: as the log shows, or 128MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_index_bytes: Option<u64>,
}

/// A whole number.
pub fn number(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if is_number => Ok(number),
        _ if is_number => Err("larger than 2^64 - 1".to_owned()),
        _ => Err("not a whole number, such as 100".to_owned()),
    }
}

/// A whole number from 1 on.
pub fn positive(text: &str) -> Result<NonZeroU64, String> {
    NonZeroU64::new(number(text)?).ok_or_else(|| "must be at least 1".to_owned())
}

/// A whole number within a range.
#[cfg(feature = "nats")]
pub fn within<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let number = number(text)?;
        T::try_from(number)
            .ok()
            .filter(|_| (least..=most).contains(&number))
            .ok_or_else(|| format!("not a number from {least} to {most}"))
    }
}

/// A time: seconds, with a fraction if need be, or a number with a unit: `5s`, `2m`, `1h`.
pub fn seconds(text: &str) -> Result<Duration, String> {
    // What clocks can add up.
    const MOST: f64 = 3e9;
    let what = || "not a time, such as 30, 0.5, 30s, 5m or 2h".to_owned();
    if text.starts_with('-') {
        return Err("must not be negative".to_owned());
    }
    let is_unit = |c: char| c.is_ascii_alphabetic();
    let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    let unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(what()),
    };
    let seconds = number.parse::<f64>().map_err(|_| what())? * unit;
    if !(0.0..=MOST).contains(&seconds) {
        return Err(format!("longer than {MOST} seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A size: `4096`, `64KiB`, `64K`, `1GiB`, `1G` (1024 each).
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| "not a size, such as 4096, 64KiB or 1G".to_owned())?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => {
            return Err(format!(
                "unknown unit {unit:?}: use K, M, G, T or KiB, MiB, ..."
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
    fn numbers() {
        assert_eq!(number("0"), Ok(0));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
        for wrong in ["", "1k", "-1", "+1", "1.5", "18446744073709551616"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
        assert!(positive("0").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for (text, milliseconds) in [
            ("5s", 5000),
            ("20ms", 20),
            ("1.5m", 90_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(
                seconds(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for wrong in [
            "",
            "-1",
            "NaN",
            "inf",
            "s",
            "5x",
            "1e99",
            "1e400",
            "9999999999",
            "1 s",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

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
