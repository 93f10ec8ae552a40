//! Alerts in words.

use std::fmt;

/// A fatal alert: its number, and its name in the registry of TLS alerts (RFC 5246 §7.2, RFC 7301 §3.2).
pub(super) struct Alert(pub(super) u8);

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            10 => "unexpected_message",
            20 => "bad_record_mac",
            22 => "record_overflow",
            40 => "handshake_failure",
            42 => "bad_certificate",
            43 => "unsupported_certificate",
            44 => "certificate_revoked",
            45 => "certificate_expired",
            46 => "certificate_unknown",
            47 => "illegal_parameter",
            48 => "unknown_ca",
            49 => "access_denied",
            50 => "decode_error",
            51 => "decrypt_error",
            70 => "protocol_version",
            71 => "insufficient_security",
            80 => "internal_error",
            90 => "user_canceled",
            100 => "no_renegotiation",
            110 => "unsupported_extension",
            120 => "no_application_protocol",
            number => return write!(f, "{number}"),
        };
        write!(f, "{} ({name})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_have_number_and_name() {
        assert_eq!(Alert(40).to_string(), "40 (handshake_failure)");
        assert_eq!(Alert(77).to_string(), "77");
    }
}
