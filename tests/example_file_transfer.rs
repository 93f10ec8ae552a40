//! The example `file_transfer`: two terminals, and an other side that lies.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/example.rs"]
mod example;
#[path = "support/loopback.rs"]
mod support;

use bytes::Bytes;
use data_encoding::BASE64_NOPAD;
use example::{End, Example};
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use straits::{DataChannel, DataChannelInit, PeerConnection, SessionDescription};
use support::{end, gathered, peer, soon};
use tempfile::TempDir;

fn send(files: &[impl AsRef<Path>]) -> Example {
    let files = files.iter().map(|file| file.as_ref().as_os_str().to_owned());
    let arguments = ["--bind", "127.0.0.1:0", "send"].map(OsString::from);
    Example::start("file_transfer", arguments.into_iter().chain(files))
}

fn receive(directory: &Path, more: &[&str]) -> Example {
    let arguments = ["--bind", "127.0.0.1:0", "receive"].map(OsString::from);
    let directory = directory.as_os_str().to_owned();
    let more = more.iter().map(OsString::from);
    Example::start("file_transfer", arguments.into_iter().chain([directory]).chain(more))
}

/// Copies the line of each into the other.
async fn paste(sender: &mut Example, receiver: &mut Example) {
    let offer = sender.line().await;
    receiver.enter(&offer).await;
    let answer = receiver.line().await;
    sender.enter(&answer).await;
}

/// A whole transfer: how sender and receiver ended.
async fn transfer(files: &[impl AsRef<Path>], directory: &Path, more: &[&str]) -> [End; 2] {
    let (mut sender, mut receiver) = (send(files), receive(directory, more));
    paste(&mut sender, &mut receiver).await;
    let (sender, receiver) = tokio::join!(sender.end(), receiver.end());
    [sender, receiver]
}

fn hash(content: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(content)))
}

/// All that is in a directory, temporary files included.
fn files_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

/// Two directories to send from and to receive in.
fn directories() -> [TempDir; 2] {
    [TempDir::new().unwrap(), TempDir::new().unwrap()]
}

#[tokio::test]
async fn files_arrive_as_they_are() {
    let [from, to] = directories();
    let large: Vec<u8> = (0..20u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let files = [("large.bin", &large[..]), ("empty", b""), ("Grüße, 世界 🎈.txt", b"hello"), ("-rf", b"\0")];
    for (name, content) in files {
        fs::write(from.path().join(name), content).unwrap();
    }
    let paths = files.map(|(name, _)| from.path().join(name));
    let ends = transfer(&paths, to.path(), &[]).await;
    let expected = files.map(|(name, content)| format!("{}  {name}", hash(content)));
    for end in &ends {
        assert_eq!((end.code, &end.output[..]), (Some(0), &expected[..]), "{end:?}");
    }
    assert!(ends[1].errors.contains(&"receiving large.bin, 20.00 MiB".to_owned()), "{ends:?}");
    assert!(files_of(to.path()) == files_of(from.path()), "the contents are the same");
}

#[tokio::test]
async fn what_exists_is_replaced_only_when_asked() {
    let [from, to] = directories();
    let paths = ["a", "b"].map(|name| from.path().join(name));
    fs::write(&paths[0], "new").unwrap();
    fs::write(&paths[1], "another").unwrap();
    fs::write(to.path().join("a"), "old").unwrap();
    let [sender, receiver] = transfer(&paths, to.path(), &[]).await;
    assert_eq!((sender.code, receiver.code), (Some(1), Some(1)));
    let others = [format!("{}  b", hash(b"another"))];
    assert_eq!((&sender.output[..], &receiver.output[..]), (&others[..], &others[..]));
    assert!(
        sender.errors.contains(&"a: the receiver refused it: it exists already".to_owned()),
        "{sender:?}"
    );
    assert!(sender.errors.contains(&"file_transfer: 1 of 2 files were not sent".to_owned()), "{sender:?}");
    assert!(receiver.errors.contains(&"a: it exists already".to_owned()), "{receiver:?}");
    assert_eq!(fs::read_to_string(to.path().join("a")).unwrap(), "old");

    let ends = transfer(&paths, to.path(), &["--overwrite"]).await;
    assert_eq!(ends.each_ref().map(|end| end.code), [Some(0); 2], "{ends:?}");
    assert_eq!(files_of(to.path()), files_of(from.path()));
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_sent_as_announced_or_refused() {
    let [from, to] = directories();
    let paths = ["grows", "shrinks"].map(|name| from.path().join(name));
    for path in &paths {
        fs::write(path, "hello").unwrap();
    }
    let (mut sender, mut receiver) = (send(&paths), receive(to.path(), &[]));
    // The sender has opened its files when it has an offer.
    let offer = sender.line().await;
    fs::write(&paths[0], "hello, world").unwrap();
    fs::write(&paths[1], "hell").unwrap();
    receiver.enter(&offer).await;
    let answer = receiver.line().await;
    sender.enter(&answer).await;
    let (sender, receiver) = tokio::join!(sender.end(), receiver.end());
    assert_eq!((sender.code, receiver.code), (Some(1), Some(1)), "{sender:?} {receiver:?}");
    let refusal = "shrinks: it has 4 bytes and should have 5".to_owned();
    assert!(receiver.errors.contains(&refusal), "{receiver:?}");
    assert_eq!(files_of(to.path()), BTreeMap::from([("grows".to_owned(), b"hello".to_vec())]));
}

/// More than can be sent while a test lasts, without taking room on the disk.
fn endless(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("endless");
    fs::File::create(&path).unwrap().set_len(1 << 36).unwrap();
    path
}

#[tokio::test]
async fn a_sender_that_vanishes_is_noticed() {
    let [from, to] = directories();
    let (mut sender, mut receiver) = (send(&[endless(from.path())]), receive(to.path(), &[]));
    paste(&mut sender, &mut receiver).await;
    receiver.error_with("receiving endless, 64.00 GiB").await;
    sender.kill().await;
    let end = receiver.end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
    assert!(end.errors[0].starts_with("file_transfer: the connection was lost (ICE: "), "{end:?}");
    assert_eq!(files_of(to.path()), BTreeMap::new());
}

#[tokio::test]
async fn a_receiver_that_vanishes_is_noticed() {
    let [from, to] = directories();
    let (mut sender, mut receiver) = (send(&[endless(from.path())]), receive(to.path(), &[]));
    paste(&mut sender, &mut receiver).await;
    sender.error_with("sending endless, 64.00 GiB").await;
    receiver.kill().await;
    let end = sender.end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
    assert!(end.errors[0].starts_with("file_transfer: the connection was lost (ICE: "), "{end:?}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_before_anything_else() {
    let [from, _] = directories();
    let file = from.path().join("file");
    fs::write(&file, "").unwrap();
    let cases = [
        (vec![from.path().join("missing")], "os error 2"),
        (vec![from.path().to_owned()], "not a file"),
        (vec![file.clone(), file], "another file has the name file"),
    ];
    for (files, problem) in cases {
        let end = send(&files).end().await;
        assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
        assert!(end.errors.len() == 1 && end.errors[0].contains(problem), "{end:?}");
    }
    let end = receive(&from.path().join("missing"), &[]).end().await;
    assert_eq!(end.code, Some(1));
    assert!(end.errors.len() == 1 && end.errors[0].ends_with("missing: not a directory"), "{end:?}");
}

#[tokio::test]
async fn a_line_that_is_no_description_may_be_pasted_again() {
    let [from, to] = directories();
    let file = from.path().join("file");
    fs::write(&file, "content").unwrap();
    let (mut sender, mut receiver) = (send(&[&file]), receive(to.path(), &[]));
    let offer = sender.line().await;
    receiver.enter("").await;
    receiver.enter(&offer[..offer.len() / 2]).await;
    receiver.error_with("This is no offer").await;
    sender.enter(&offer).await;
    sender.error_with("This is an offer; paste the answer:").await;
    receiver.enter(&offer).await;
    let answer = receiver.line().await;
    sender.enter(&answer).await;
    let (sender, receiver) = tokio::join!(sender.end(), receiver.end());
    assert_eq!((sender.code, receiver.code), (Some(0), Some(0)), "{sender:?} {receiver:?}");
    assert_eq!(files_of(to.path()), files_of(from.path()));
}

/// A description as a line, as the example has it.
fn encode(description: &SessionDescription) -> String {
    BASE64_NOPAD.encode(&compress_to_vec(&serde_json::to_vec(description).unwrap(), 1))
}

fn decode(line: &str) -> SessionDescription {
    let json = decompress_to_vec(&BASE64_NOPAD.decode(line.as_bytes()).unwrap()).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// A sender that does not keep to the rules.
struct Liar {
    connection: PeerConnection,
    first: Option<DataChannel>,
}

impl Liar {
    /// Connects to the receiver, with a first file of this name.
    async fn connect(receiver: &mut Example, first: &str) -> Self {
        let mut liar = Self { connection: peer(), first: None };
        liar.first = Some(liar.channel(first));
        liar.connection.set_local_description_implicitly().await.unwrap();
        gathered(&liar.connection).await;
        receiver.enter(&encode(&liar.connection.local_description().unwrap())).await;
        liar.connection.set_remote_description(decode(&receiver.line().await)).await.unwrap();
        liar
    }

    fn channel(&self, label: &str) -> DataChannel {
        let init = DataChannelInit::default().protocol("straits-file-transfer-1");
        self.connection.create_data_channel(label, init).unwrap()
    }

    /// Sends a file and, if the receiver lets it, contents and an end: all that the receiver says, until it closes.
    async fn file(&mut self, label: &str, size: u64, content: &[u8], sha256: &str) -> Vec<Value> {
        let channel = self.first.take().unwrap_or_else(|| self.channel(label));
        let begin = json!({ "begin": { "size": size, "following": 1 } });
        soon("room", channel.send(begin.to_string())).await.unwrap();
        let mut said = Vec::new();
        while let Some(message) = soon("the receiver", channel.recv()).await {
            said.push(serde_json::from_slice(message.as_bytes()).unwrap());
            if said == ["ready"] {
                let end = json!({ "end": { "sha256": sha256 } });
                // The receiver may close the channel in between.
                let _ = channel.send(Bytes::copy_from_slice(content)).await;
                let _ = channel.send(end.to_string()).await;
            }
        }
        said
    }
}

fn reason(said: &Value) -> &str {
    said["refused"]["reason"].as_str().unwrap()
}

#[tokio::test]
async fn hostile_names_do_not_leave_the_directory() {
    let [outside, _] = directories();
    let directory = outside.path().join("inside");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("there"), "old").unwrap();
    let mut receiver = receive(&directory, &["--overwrite"]);
    let absolute = outside.path().join("absolute").into_os_string().into_string().unwrap();
    let names = [
        "../evil",
        "..",
        ".",
        "",
        "/",
        "inside/evil",
        "evil/",
        "./evil",
        "back\\slash",
        "C:evil",
        ".hidden",
        "two\nlines",
        "nul\0",
        "\u{1b}[2J",
        &absolute,
    ];
    let mut liar = Liar::connect(&mut receiver, names[0]).await;
    for name in names {
        let said = liar.file(name, 1, b"!", &hash(b"!")).await;
        let expected = format!("\"{}\" is no safe name for a file", name.escape_debug());
        assert_eq!(said.iter().map(reason).collect::<Vec<_>>(), [expected]);
    }
    end([liar.connection]).await;
    let end = receiver.end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
    assert_eq!(files_of(&directory), BTreeMap::from([("there".to_owned(), b"old".to_vec())]));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn contents_that_are_not_as_announced_are_not_kept() {
    let [_, to] = directories();
    let mut receiver = receive(to.path(), &[]);
    let mut liar = Liar::connect(&mut receiver, "longer").await;
    let cases = [
        ("longer", 4, "there is more of it than was announced".to_owned()),
        ("shorter", 6, "it has 5 bytes and should have 6".to_owned()),
        ("other", 5, format!("the hashes differ: {} was sent, {} arrived", hash(b"world"), hash(b"hello"))),
    ];
    for (name, size, expected) in cases {
        let said = liar.file(name, size, b"hello", &hash(b"world")).await;
        assert_eq!(said[0], "ready");
        assert_eq!(said[1..].iter().map(reason).collect::<Vec<_>>(), [expected]);
    }
    let said = liar.file("right", 5, b"hello", &hash(b"hello")).await;
    assert_eq!(said, [json!("ready"), json!({ "stored": { "sha256": hash(b"hello") } })]);
    end([liar.connection]).await;

    let end = receiver.end().await;
    assert_eq!(end.code, Some(1), "one more file was promised");
    assert_eq!(end.output, [format!("{}  right", hash(b"hello"))]);
    let last = "file_transfer: the other side left before all files were there";
    assert_eq!(end.errors.last().map(String::as_str), Some(last), "{end:?}");
    assert_eq!(files_of(to.path()), BTreeMap::from([("right".to_owned(), b"hello".to_vec())]));
}

#[tokio::test]
async fn a_sender_that_says_goodbye_in_the_middle_is_no_success() {
    let [_, to] = directories();
    let mut receiver = receive(to.path(), &[]);
    let mut liar = Liar::connect(&mut receiver, "half").await;
    let channel = liar.first.take().unwrap();
    let begin = json!({ "begin": { "size": 10, "following": 0 } });
    soon("room", channel.send(begin.to_string())).await.unwrap();
    assert_eq!(soon("the receiver", channel.recv()).await.unwrap().as_text(), Some("\"ready\""));
    soon("room", channel.send(Bytes::from_static(b"half"))).await.unwrap();
    end([liar.connection]).await;
    let end = receiver.end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
    let expected = "file_transfer: half: the other side left in the middle of the file";
    assert_eq!(end.errors.last().map(String::as_str), Some(expected), "{end:?}");
    assert_eq!(files_of(to.path()), BTreeMap::new());
}

/// The other side of a real sender, once it is connected and the sender has begun its first file.
async fn false_receiver(sender: &mut Example) -> (PeerConnection, DataChannel) {
    let connection = peer();
    connection.set_remote_description(decode(&sender.line().await)).await.unwrap();
    connection.set_local_description_implicitly().await.unwrap();
    gathered(&connection).await;
    sender.enter(&encode(&connection.local_description().unwrap())).await;
    let channel = soon("a file", connection.accept_channel()).await.unwrap();
    let begin = soon("its header", channel.recv()).await.unwrap();
    assert!(begin.as_text().unwrap().starts_with(r#"{"begin":"#), "{begin:?}");
    soon("room", channel.send("\"ready\"")).await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn a_refusal_in_the_middle_stops_the_sender() {
    let [from, _] = directories();
    let mut sender = send(&[endless(from.path())]);
    let (connection, channel) = false_receiver(&mut sender).await;
    assert_eq!(soon("contents", channel.recv()).await.unwrap().len(), 64 << 10);
    let refused = json!({ "refused": { "reason": "the disk is full\u{1b}[2J" } });
    soon("room", channel.send(refused.to_string())).await.unwrap();
    channel.close();
    let end = sender.end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
    assert!(
        end.errors.contains(&"endless: the receiver refused it: the disk is full\u{fffd}[2J".to_owned()),
        "{end:?}"
    );
    support::end([connection]).await;
}

#[tokio::test]
async fn another_hash_than_was_sent_is_an_error() {
    let [from, _] = directories();
    let file = from.path().join("file");
    fs::write(&file, "hello").unwrap();
    let mut sender = send(&[&file]);
    let (connection, channel) = false_receiver(&mut sender).await;
    assert_eq!(soon("contents", channel.recv()).await.unwrap().as_bytes(), b"hello");
    let stored = json!({ "stored": { "sha256": hash(b"world") } });
    soon("room", channel.send(stored.to_string())).await.unwrap();
    let end = sender.end().await;
    assert_eq!((end.code, &*end.output), (Some(1), &[][..]), "{end:?}");
    let expected = format!(
        "file_transfer: file: the hashes differ: {} was sent, {} was stored",
        hash(b"hello"),
        hash(b"world")
    );
    assert_eq!(end.errors.last(), Some(&expected), "{end:?}");
    support::end([connection]).await;
}
