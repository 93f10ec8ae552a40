//! The side that sends.

use super::protocol::{FromReceiver, FromSender, PROTOCOL, digits, hear, safe_name, tell};
use super::{Failure, description, print, progress, tell_user};
use bytes::BytesMut;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use straits::{DataChannel, DataChannelInit, ErrorName, PeerConnection};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, Take};

/// A file that can be read and has a name for the other side.
struct Source {
    name: String,
    size: u64,
    /// As much of it as was announced, should it grow meanwhile.
    content: Take<File>,
}

pub(super) async fn run(connection: &PeerConnection, paths: &[PathBuf]) -> Result<(), Failure> {
    let sources = open(paths).await?;
    let first = channel(connection, &sources[0])?;
    description::offer(connection).await?;

    let mut following = sources.len();
    let mut refused = 0;
    for mut source in sources {
        let channel = if following == paths.len() { first.clone() } else { channel(connection, &source)? };
        following -= 1;
        let outcome = send(&channel, &mut source, following).await;
        match outcome.map_err(|error| format!("{}: {error}", source.name))? {
            Outcome::Stored(hash) => print(format_args!("{hash}  {}", source.name)),
            Outcome::Refused(reason) => {
                tell_user(format_args!("{}: the receiver refused it: {reason}", source.name));
                refused += 1;
            }
        }
        channel.closed().await;
    }
    if refused > 0 { Err(format!("{refused} of {} files were not sent", paths.len()).into()) } else { Ok(()) }
}

/// Opens all files before anything is sent, so that what is wrong with one is known before it is waited for.
async fn open(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    let mut names = BTreeSet::new();
    for path in paths {
        let wrong = |error| Failure::from(format!("{}: {error}", path.display()));
        let source = Source::open(path).await.map_err(wrong)?;
        if !names.insert(source.name.clone()) {
            return Err(format!("{}: another file has the name {}", path.display(), source.name).into());
        }
        sources.push(source);
    }
    Ok(sources)
}

impl Source {
    async fn open(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Err("not a file".into());
        }
        let size = metadata.len();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or("the name is not Unicode")?;
        Ok(Self { name: safe_name(name)?.to_owned(), size, content: file.take(size) })
    }

    /// The next bytes of the file; none at its end.
    async fn read(&mut self) -> Result<BytesMut, Failure> {
        let mut piece = BytesMut::with_capacity(PIECE);
        self.content.read_buf(&mut piece).await?;
        Ok(piece)
    }
}

fn channel(connection: &PeerConnection, source: &Source) -> Result<DataChannel, Failure> {
    Ok(connection.create_data_channel(&source.name, DataChannelInit::default().protocol(PROTOCOL))?)
}

/// What the receiver made of a file.
enum Outcome {
    Stored(String),
    Refused(String),
}

async fn send(channel: &DataChannel, source: &mut Source, following: usize) -> Result<Outcome, Failure> {
    tell(channel, &FromSender::Begin { size: source.size, following }).await?;
    match hear(channel).await? {
        FromReceiver::Ready => {}
        FromReceiver::Refused { reason } => return Ok(Outcome::Refused(reason)),
        FromReceiver::Stored { .. } => return Err("the receiver stored what was not sent".into()),
    }
    let bar = progress("sending", &source.name, source.size);
    let mut hash = Sha256::new();
    let mut sent = 0;
    loop {
        let piece = source.read().await?;
        if piece.is_empty() {
            break;
        }
        sent += piece.len() as u64;
        hash.update(&piece);
        // Waits while the receiver or the network is slower than the disk.
        match channel.send(piece.freeze()).await {
            Ok(()) => bar.set_position(sent),
            // The receiver has closed the channel, and said before why.
            Err(error) if error.name() == ErrorName::InvalidStateError => break,
            Err(error) => return Err(error.into()),
        }
    }
    bar.finish_and_clear();
    let sha256 = digits(hash);
    // The same holds here.
    let _ = tell(channel, &FromSender::End { sha256: sha256.clone() }).await;
    match hear(channel).await? {
        FromReceiver::Stored { sha256: theirs } if theirs == sha256 => Ok(Outcome::Stored(sha256)),
        FromReceiver::Stored { sha256: theirs } => {
            Err(format!("the hashes differ: {sha256} was sent, {theirs} was stored").into())
        }
        FromReceiver::Refused { reason } => Ok(Outcome::Refused(reason)),
        FromReceiver::Ready => Err("the receiver is ready twice".into()),
    }
}

/// Bytes of a message: small enough for every peer, large enough to keep the work per message low.
const PIECE: usize = 64 << 10;
