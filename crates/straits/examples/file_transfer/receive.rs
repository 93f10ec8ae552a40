//! The side that receives. It trusts the other side with nothing: not with names, not with sizes, not to be there.

use super::protocol::{ENDED, FromReceiver, FromSender, PROTOCOL, digits, hear, safe_name, tell, understand};
use super::{Failure, description, print, progress, tell_user};
use sha2::{Digest, Sha256};
use std::path::Path;
use straits::{DataChannel, Message, PeerConnection};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

pub(super) async fn run(
    connection: &PeerConnection,
    directory: &Path,
    overwrite: bool,
) -> Result<(), Failure> {
    if !directory.is_dir() {
        return Err(format!("{}: not a directory", directory.display()).into());
    }
    description::answer(connection).await?;

    let mut is_complete = true;
    loop {
        let channel = connection.accept_channel().await;
        let channel = channel.ok_or("the other side left before all files were there")?;
        if channel.protocol() != PROTOCOL {
            return Err("the other side is no such program".into());
        }
        let FromSender::Begin { size, following } = hear(&channel).await? else {
            return Err("the other side ends a file that it did not begin".into());
        };
        let stored = store(&channel, size, directory, overwrite).await;
        let verdict = match &stored {
            Ok(sha256) => FromReceiver::Stored { sha256: sha256.clone() },
            Err(error) => FromReceiver::Refused { reason: error.to_string() },
        };
        let told = tell(&channel, &verdict).await;
        let name = channel.label();
        match stored {
            Ok(sha256) => print(format_args!("{sha256}  {name}")),
            // Nobody is there who could send another file.
            Err(error) if told.is_err() => return Err(format!("{name}: {error}").into()),
            Err(error) => {
                tell_user(format_args!("{name}: {error}"));
                is_complete = false;
            }
        }
        // Lossless: the sender has the verdict when it is done.
        channel.close();
        channel.closed().await;
        if following == 0 {
            break;
        }
    }
    if is_complete { Ok(()) } else { Err("not all files were stored".into()) }
}

/// Receives one file, and gives its hash when it is there under its name, whole and as it was sent.
async fn store(
    channel: &DataChannel,
    size: u64,
    directory: &Path,
    overwrite: bool,
) -> Result<String, Failure> {
    let path = directory.join(safe_name(channel.label())?);
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err("it exists already".into());
    }
    // Gone with this function, unless it gets its name.
    let temporary = NamedTempFile::new_in(directory)?;
    let mut file = File::from_std(temporary.reopen()?);
    tell(channel, &FromReceiver::Ready).await?;

    let bar = progress("receiving", channel.label(), size);
    let mut hash = Sha256::new();
    let mut received = 0;
    let theirs = loop {
        match channel.recv().await {
            Some(Message::Binary(piece)) => {
                received += piece.len() as u64;
                if received > size {
                    return Err("there is more of it than was announced".into());
                }
                hash.update(&piece);
                // While the disk is slow nothing is read, which soon stops the sender.
                file.write_all(&piece).await?;
                bar.set_position(received);
            }
            Some(Message::Text(text)) => match understand(text.as_bytes())? {
                FromSender::End { sha256 } => break sha256,
                FromSender::Begin { .. } => return Err("it begins twice".into()),
            },
            None => return Err(ENDED.into()),
        }
    };
    file.flush().await?;
    bar.finish_and_clear();

    let ours = digits(hash);
    if received < size {
        return Err(format!("it has {received} bytes and should have {size}").into());
    }
    if theirs != ours {
        return Err(format!("the hashes differ: {theirs} was sent, {ours} arrived").into());
    }
    if overwrite {
        temporary.persist(&path)?;
    } else {
        // Does not replace what appeared meanwhile.
        temporary.persist_noclobber(&path)?;
    }
    Ok(ours)
}
