//! skeleton; the one file that names `stun_codec`.

/// The local fragment (before the colon) of a Binding request's USERNAME, unauthenticated: for demultiplexing only.
#[allow(clippy::todo)]
pub fn local_ufrag(_datagram: &[u8]) -> Option<&str> {
    todo!()
}
