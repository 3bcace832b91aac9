//! The kinds of payloads of a log, and their names. How the codec of a log is detected is
//! in `detect`.

use std::fmt;
use std::str::FromStr;

/// The encoding of the payloads of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// The value as it is.
    Raw,
    /// A [`Record`](super::record::Record).
    Protobuf,
}

impl Codec {
    /// The name on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Protobuf => "protobuf",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no codec has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown codec {0:?}: use raw or protobuf")]
pub struct UnknownCodec(pub String);

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        [Self::Raw, Self::Protobuf]
            .into_iter()
            .find(|codec| codec.as_str() == name)
            .ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_have_names() {
        for codec in [Codec::Raw, Codec::Protobuf] {
            assert_eq!(codec.to_string().parse(), Ok(codec));
        }
        assert_eq!(format!("{:>5}", Codec::Raw), "  raw");
        let error = "json".parse::<Codec>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown codec \"json\": use raw or protobuf"
        );
    }
}
