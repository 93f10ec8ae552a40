//! Descriptions as lines to be copied and pasted.

use super::{Failure, print, tell_user};
use data_encoding::BASE64_NOPAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::thread;
use straits::{PeerConnection, SdpType, SessionDescription};
use tokio::sync::{Notify, oneshot};

/// Prints an offer and waits for the answer.
pub(super) async fn offer(connection: &PeerConnection) -> Result<(), Failure> {
    connection.set_local_description_implicitly().await?;
    tell_user(format_args!("Paste this line into the terminal that receives:"));
    print(format_args!("{}", encode(&gathered(connection).await?)?));
    tell_user(format_args!("Then paste its line here:"));
    connection.set_remote_description(pasted(SdpType::Answer).await?).await?;
    connected(connection).await
}

/// Waits for an offer and prints the answer.
pub(super) async fn answer(connection: &PeerConnection) -> Result<(), Failure> {
    tell_user(format_args!("Paste the line of the terminal that sends:"));
    connection.set_remote_description(pasted(SdpType::Offer).await?).await?;
    connection.set_local_description_implicitly().await?;
    tell_user(format_args!("Paste this line into the terminal that sends:"));
    print(format_args!("{}", encode(&gathered(connection).await?)?));
    connected(connection).await
}

async fn connected(connection: &PeerConnection) -> Result<(), Failure> {
    if connection.connected().await.is_ok() {
        return Ok(());
    }
    // What was tried, and what to do about it.
    connection.explain().to_string().lines().for_each(|line| tell_user(format_args!("{line}")));
    Err("the other side cannot be reached".into())
}

/// The local description, once all candidates are in it.
async fn gathered(connection: &PeerConnection) -> Result<SessionDescription, Failure> {
    let complete = Arc::new(Notify::new());
    let tell = complete.clone();
    connection.on_ice_candidate(move |candidate| {
        if candidate.is_none() {
            tell.notify_one();
        }
    });
    complete.notified().await;
    Ok(connection.local_description().ok_or("there is no description")?)
}

/// The next line that is such a description.
async fn pasted(kind: SdpType) -> Result<SessionDescription, Failure> {
    loop {
        let line = next_line().await?.ok_or_else(|| format!("the input ended without the {kind}"))?;
        match decode(&line) {
            Ok(description) if description.kind == kind => return Ok(description),
            Ok(other) => tell_user(format_args!("This is an {}; paste the {kind}:", other.kind)),
            Err(_) if line.trim().is_empty() => {}
            Err(error) => tell_user(format_args!("This is no {kind} ({error}); paste the whole line:")),
        }
    }
}

async fn next_line() -> Result<Option<String>, Failure> {
    let (tell, line) = oneshot::channel();
    // No thread of the runtime, which would not end before the line is there, interrupted or not.
    thread::spawn(move || tell.send(io::stdin().lock().lines().next().transpose()));
    Ok(line.await??)
}

/// JSON as a browser has it, compressed, as one line of printable characters. Some terminals take no more than 1024 of them
/// in a line.
fn encode(description: &SessionDescription) -> Result<String, Failure> {
    let json = serde_json::to_vec(description)?;
    Ok(BASE64_NOPAD.encode(&compress_to_vec(&json, BEST)))
}

fn decode(line: &str) -> Result<SessionDescription, Failure> {
    let compressed = BASE64_NOPAD.decode(line.trim().as_bytes())?;
    let json = decompress_to_vec_with_limit(&compressed, MAX_JSON)?;
    Ok(serde_json::from_slice(&json)?)
}

/// The level of compression.
const BEST: u8 = 9;

/// Bytes, more than any description has.
const MAX_JSON: usize = 64 << 10;
