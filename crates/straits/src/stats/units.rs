//! Units in which W3C webrtc-stats has what Rust has as types of its own.

use serde::{Serialize, Serializer};
use std::fmt::Display;
use std::time::{Duration, SystemTime};

/// DOMHighResTimeStamp: milliseconds since 1970.
pub(super) fn timestamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(milliseconds(*time))
}

pub(super) fn optional_timestamp<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(milliseconds).serialize(serializer)
}

pub(super) fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

pub(super) fn optional_seconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

/// Enumerations whose text is the browser's.
pub(super) fn text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn milliseconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64() * 1000.0,
        Err(before) => before.duration().as_secs_f64() * -1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_since_1970() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_234_567);
        assert!((milliseconds(time) - 1234.567).abs() < 1e-9);
        assert!((milliseconds(SystemTime::UNIX_EPOCH - Duration::from_secs(1)) + 1000.0).abs() < 1e-9);
    }
}
