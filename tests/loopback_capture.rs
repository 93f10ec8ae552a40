//! Captures, read by a reader of our own and by tshark.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/pcapng.rs"]
mod pcapng;
#[path = "support/loopback.rs"]
mod support;
#[path = "support/tools.rs"]
mod tools;

use pcapng::{Block, File, Interface, Packet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;
use straits::{
    Capture, Configuration, DataChannelInit, Endpoint, EndpointConfiguration, ErrorName, LayerConfig,
    Message, PeerConnection, sctp,
};
use support::{Pair, configuration, end, soon, until};

const TEXT: &str = "Grüße, 世界";
const BINARY: &[u8] = &[0xfe, 0xed, 0xfa, 0xce, 0, 1, 2, 3, 4, 5];
const UDP: u32 = 0;
const SCTP: u32 = 1;
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

#[tokio::test]
async fn two_connections_are_in_one_file() {
    let folder = Folder::new("two-connections");
    let path = folder.file("wire.pcapng");
    let before = nanoseconds();
    let texts = capture_two_pairs(&path).await.texts;
    let after = nanoseconds();
    let file = File::read(&fs::read(&path).unwrap());

    assert_eq!(file.rest, 0);
    assert!(
        file.comment.contains("secrets") && file.comment.contains("straits::Capture::create"),
        "{}",
        file.comment
    );
    let interface = |name: &str| Interface { name: name.to_owned(), link_type: 101, resolution: 9 };
    assert_eq!(file.interfaces, [interface("udp"), interface("sctp")]);
    assert_owner_only(&path);

    // Two ends of two connections.
    let mut secrets = file.secrets();
    assert_eq!(secrets.len(), 4);
    secrets.sort_unstable();
    secrets.dedup();
    assert_eq!(secrets.len(), 2);
    assert!(
        secrets.iter().all(|line| line.starts_with("CLIENT_RANDOM ") && line.len() == 175),
        "{secrets:?}"
    );

    let times: Vec<u64> = file.packets(UDP).chain(file.packets(SCTP)).map(|packet| packet.time).collect();
    assert!(times.iter().all(|time| (before..=after).contains(time)), "{before} {times:?} {after}");
    assert_datagrams_are_those_on_the_wire(&file);
    assert_secrets_come_first(&file);
    assert_messages_are_readable(&file, &texts);
}

/// What is received was sent before, and was sent before in the file, too.
fn assert_datagrams_are_those_on_the_wire(file: &File) {
    let mut under_way: Vec<(SocketAddr, SocketAddr, &[u8])> = Vec::new();
    let mut received = 0;
    let mut ports = Vec::new();
    for packet in file.packets(UDP) {
        let content = packet.content();
        let datagram = content.udp();
        assert_eq!(
            (datagram.0.ip(), datagram.1.ip()),
            (Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into())
        );
        match packet.direction {
            OUTBOUND => under_way.push(datagram),
            INBOUND => {
                let sent = under_way.iter().position(|other| *other == datagram);
                under_way.swap_remove(sent.expect("it was sent before"));
                received += 1;
            }
            direction => panic!("direction {direction}"),
        }
        ports.push(datagram.0.port());
    }
    // What was said to an end that had closed its socket was never received: the farewell and a check, at most.
    assert!(under_way.len() < received / 2, "{} of {received}", under_way.len());
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4, "each of the four ends has its socket");
}

/// The secret of a session precedes its first record of epoch 1.
fn assert_secrets_come_first(file: &File) {
    let is_protected = |packet: &Packet| {
        let content = packet.content();
        let (_, _, payload) = content.udp();
        payload[0] == 23
    };
    let protected = file.blocks.iter().position(
        |block| matches!(block, Block::Packet(packet) if packet.interface == UDP && is_protected(packet)),
    );
    let first = file.blocks.iter().position(|block| matches!(block, Block::Secrets(_)));
    assert!(first.unwrap() < protected.unwrap());
}

/// Each message is in a packet that was sent and in one that was received.
fn assert_messages_are_readable(file: &File, texts: &[String]) {
    for needle in texts.iter().map(String::as_bytes).chain([BINARY]) {
        for direction in [OUTBOUND, INBOUND] {
            let carries = |packet: &&Packet| {
                let content = packet.content();
                assert_eq!(
                    (content.protocol, u16::from_be_bytes([content.payload[0], content.payload[1]])),
                    (132, 5000)
                );
                packet.direction == direction && contains(content.payload, needle)
            };
            assert!(file.packets(SCTP).any(|packet| carries(&packet)), "{needle:?} {direction}");
            assert!(file.packets(UDP).all(|packet| !contains(&packet.data, needle)), "DTLS hides it");
        }
    }
}

#[tokio::test]
async fn wireshark_shows_messages_and_decrypts_datagrams() {
    let Some(tshark) = tools::find("tshark") else { return };
    let folder = Folder::new("tshark");
    let path = folder.file("wire.pcapng");
    // To Wireshark a ClientHello that is sent again begins another handshake, for which it has no secrets. On a busy machine
    // it may be; this is about captures in which it was not.
    soon("a capture without resent flights", async { while capture_two_pairs(&path).await.resent > 0 {} })
        .await;
    let run = |arguments: &[&str]| tshark_lines(&tshark, &path, arguments);
    let fields = |filter: &str, field: &str| run(&["-Y", filter, "-T", "fields", "-e", field]);

    // RFC 8832 §8.2.1: DATA_CHANNEL_ACK is 2, DATA_CHANNEL_OPEN is 3.
    let sent = "frame.interface_name == \"sctp\" && frame.packet_flags_direction == 2";
    assert_eq!(fields(&format!("{sent} && rtcdc.message_type == 3"), "rtcdc.label"), ["data", "data"]);
    assert_eq!(fields(&format!("{sent} && rtcdc.message_type == 2"), "ip.src"), ["127.0.0.1", "127.0.0.1"]);
    // RFC 8831 §8: 51 is a string, 53 is binary. One connection has DATA, the other I-DATA.
    for chunk in [0, 64] {
        let filter =
            |ppid| format!("{sent} && sctp.chunk_type == {chunk} && sctp.data_payload_proto_id == {ppid}");
        let texts = fields(&filter(51), "data.data").join(",");
        assert!(texts.contains(&hex(TEXT.as_bytes())), "{chunk}: {texts}");
        let binaries = fields(&filter(53), "data.data").join(",");
        assert!(binaries.contains(&hex(BINARY)), "{chunk}: {binaries}");
    }

    // A Finished and what is in application data show only when decrypted.
    let datagrams = "frame.interface_name == \"udp\"";
    let finished = fields(&format!("{datagrams} && dtls.handshake.type == 20"), "frame.number");
    assert!(finished.len() >= 8, "two of each handshake, sent and received: {finished:?}");
    let data = format!("{datagrams} && dtls.record.content_type == 23");
    let records = fields(&data, "frame.number").len();
    let decrypted =
        run(&["-Y", &data, "-x"]).iter().filter(|line| line.starts_with("Decrypted DTLS")).count();
    assert!(records > 0);
    assert_eq!(decrypted, records);
    let malformed = run(&["-Y", "_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0"]);
    assert_eq!(malformed, Vec::<String>::new());
}

/// What [`capture_two_pairs`] has captured.
struct Captured {
    /// The texts that were sent.
    texts: [String; 2],
    /// Flights of handshakes that were sent again.
    resent: u64,
}

/// Two connections in one process at a time, all four ends captured; one has messages interleaved, the other not.
async fn capture_two_pairs(path: &Path) -> Captured {
    let capture = Capture::create(path).unwrap();
    let pair = async |interleaving| {
        let layers = LayerConfig::default().sctp(sctp::Config::default().interleaving(interleaving));
        let captured = || configuration().layers(layers.clone()).capture(capture.clone());
        Pair::with(captured(), captured(), DataChannelInit::default()).await
    };
    let pairs = [pair(true).await, pair(false).await];
    let texts = [1, 2].map(|number| format!("{TEXT} {number}"));
    for (pair, text) in pairs.iter().zip(&texts) {
        exchange(pair, text).await;
    }
    let ends = pairs.iter().flat_map(|pair| [&pair.a, &pair.b]);
    let resent = ends.map(|end| end.stats().dtls.flights_resent).sum();
    for pair in pairs {
        pair.close().await;
    }
    capture.flush();
    Captured { texts, resent }
}

/// A text one way, bytes the other.
async fn exchange(pair: &Pair, text: &str) {
    soon("room", pair.channel_a.send(text)).await.unwrap();
    assert_eq!(soon("the text", pair.channel_b.recv()).await, Some(Message::from(text)));
    soon("room", pair.channel_b.send(BINARY)).await.unwrap();
    assert_eq!(soon("the bytes", pair.channel_a.recv()).await, Some(Message::from(BINARY)));
}

/// One side, on an endpoint; with what strangers send it.
#[tokio::test]
async fn an_endpoint_captures_its_connections_and_strangers() {
    let folder = Folder::new("endpoint");
    let path = folder.file("wire.pcapng");
    let capture = Capture::create(&path).unwrap();
    let settings = EndpointConfiguration::default().bind_address((Ipv4Addr::LOCALHOST, 0).into());
    let endpoint = Endpoint::bind(settings.capture(capture.clone())).unwrap();
    let address = endpoint.local_addresses()[0];
    let stranger = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.send_to(b"\xffnobody", address).unwrap();
    stranger.send_to(b"", address).unwrap();
    until("both to come", || endpoint.stats().malformed == 2).await;

    let client = PeerConnection::new(configuration()).unwrap();
    let channel = client.create_data_channel("data", DataChannelInit::default()).unwrap();
    client.set_local_description_implicitly().await.unwrap();
    support::gathered(&client).await;
    let offer = client.local_description().unwrap();
    let (server, answer) = soon("an answer", endpoint.accept(offer, Configuration::default())).await.unwrap();
    client.set_remote_description(answer).await.unwrap();
    soon("room", channel.send(TEXT)).await.unwrap();
    let theirs = soon("the channel", server.accept_channel()).await.unwrap();
    assert_eq!(soon("the text", theirs.recv()).await, Some(Message::from(TEXT)));
    end([client, server]).await;
    capture.flush();

    let file = File::read(&fs::read(&path).unwrap());
    assert_eq!(file.secrets().len(), 1, "the client has no capture");
    let carrying: Vec<u32> = file
        .packets(SCTP)
        .filter(|packet| contains(&packet.data, TEXT.as_bytes()))
        .map(|packet| packet.direction)
        .collect();
    assert_eq!(carrying, [INBOUND]);
    let from_stranger: Vec<(u32, Vec<u8>)> = (file.packets(UDP))
        .filter_map(|packet| {
            let content = packet.content();
            let (source, destination, payload) = content.udp();
            let is_from_stranger = source == stranger.local_addr().unwrap() && destination == address;
            is_from_stranger.then(|| (packet.direction, payload.to_vec()))
        })
        .collect();
    assert_eq!(from_stranger, [(INBOUND, b"\xffnobody".to_vec()), (INBOUND, Vec::new())]);
}

/// The switches of the environment, in a process of their own, which is killed: what was written by then can be read.
#[tokio::test]
async fn the_environment_switches_it_on() {
    if std::env::var_os(CHILD).is_some() {
        return wait_to_be_killed().await;
    }
    let folder = Folder::new("environment");
    let key_log = folder.file("keys.log");
    fs::write(&key_log, "# of another program\n").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_environment_switches_it_on", "--nocapture"])
        .env(CHILD, "1")
        .env("STRAITS_PCAP", folder.file("%p.pcapng"))
        .env("SSLKEYLOGFILE", &key_log)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let path = folder.file(&format!("{}.pcapng", child.id()));
    let has_both = || {
        let bytes = fs::read(&path).unwrap_or_default();
        contains(&bytes, TEXT.as_bytes()) && contains(&bytes, BINARY)
    };
    until("both messages to be in the file", has_both).await;
    child.kill().unwrap();
    child.wait().unwrap();

    let bytes = fs::read(&path).unwrap();
    let file = File::read(&bytes);
    assert!(file.rest < 2048, "no more than a part of a packet: {}", file.rest);
    assert!(file.comment.contains("STRAITS_PCAP"), "{}", file.comment);
    assert_owner_only(&path);
    let logged = fs::read_to_string(&key_log).unwrap();
    let (others, ours) = logged.split_at("# of another program\n".len());
    assert_eq!((others, ours.lines().collect::<Vec<_>>()), ("# of another program\n", file.secrets()));
    assert_eq!(file.secrets().len(), 2);
    if let Some(tshark) = tools::find("tshark") {
        let shown = tshark_lines(&tshark, &path, &["-Y", "rtcdc.message_type == 3"]);
        assert!(!shown.is_empty());
    }
}

async fn wait_to_be_killed() {
    let pair = Pair::new().await;
    exchange(&pair, TEXT).await;
    // Should the parent have died, this ends, too.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_key_log_of_its_own_may_be_all_that_is_asked_for() {
    let folder = Folder::new("key-log");
    let key_log = folder.file("keys.log");
    let status = example_of_both_messages(&[("SSLKEYLOGFILE", &key_log)]);
    assert!(status.success());
    let lines = fs::read_to_string(&key_log).unwrap();
    assert_eq!(lines.lines().filter(|line| line.starts_with("CLIENT_RANDOM ")).count(), 2, "{lines}");
    assert_owner_only(&key_log);
}

/// Whoever set the variable need not be who wrote the program.
#[test]
fn a_wrong_path_in_the_environment_harms_nothing() {
    let folder = Folder::new("wrong-path");
    let nowhere = folder.file("no such folder/file");
    let status = example_of_both_messages(&[("STRAITS_PCAP", &nowhere), ("SSLKEYLOGFILE", &nowhere)]);
    assert!(status.success());
    assert!(!nowhere.exists());
}

/// Runs `messages_pass` in a process with these variables.
fn example_of_both_messages(variables: &[(&str, &Path)]) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "messages_pass"])
        .env_remove("STRAITS_PCAP")
        .env_remove("SSLKEYLOGFILE")
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .status()
        .unwrap()
}

#[tokio::test]
async fn messages_pass() {
    let pair = Pair::new().await;
    exchange(&pair, TEXT).await;
    pair.close().await;
}

#[test]
fn a_wrong_path_is_an_error() {
    let folder = Folder::new("no-file");
    let error = Capture::create(folder.file("no such folder/file")).unwrap_err();
    assert_eq!(error.name(), ErrorName::OperationError);
    assert!(error.to_string().ends_with("(name a file that can be written)"), "{error}");
    assert!(Capture::create(&folder.0).is_err(), "a folder is no file");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_harms_no_connection() {
    let capture = Capture::create("/dev/full").unwrap();
    let captured = || configuration().capture(capture.clone());
    let pair = Pair::with(captured(), captured(), DataChannelInit::default()).await;
    exchange(&pair, TEXT).await;
    capture.flush();
    exchange(&pair, TEXT).await;
    pair.close().await;
}

#[cfg(unix)]
#[test]
fn an_existing_file_is_replaced_and_closed_to_others() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("existing");
    let path = folder.file("wire.pcapng");
    fs::write(&path, vec![7; 10_000]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let capture = Capture::create(&path).unwrap();
    assert_eq!(format!("{capture:?}"), format!("Capture({path:?})"));
    capture.flush();
    assert_owner_only(&path);
    let file = File::read(&fs::read(&path).unwrap());
    assert_eq!((file.interfaces.len(), file.blocks.len(), file.rest), (2, 0, 0));
}

/// Removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("straits-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The lines that tshark writes about the file.
fn tshark_lines(tshark: &Path, file: &Path, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(tshark)
        .args(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-r"])
        .arg(file)
        .args(arguments)
        .env_remove("SSLKEYLOGFILE")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[cfg(unix)]
fn assert_owner_only(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn assert_owner_only(path: &Path) {
    assert!(path.exists());
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn nanoseconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// Says to the test binary that it is to be the process that is captured.
const CHILD: &str = "STRAITS_TEST_CHILD";
