//! skeleton
/// ufrag and pwd; redacted Debug for the pwd
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`
    pub ufrag: String,
    /// `a=ice-pwd`
    pub password: String,
}
