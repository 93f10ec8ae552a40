/** The simple RTCDataChannel sample. Its remote peer is the process that serves this page. */

import { Session } from './signalling.js';
import { describeBytes, describeCandidate, describeTime, look } from './statistics.js';
import { Plot, transfer } from './transfer.js';

const $ = (id) => document.getElementById(id);
const connectButton = $('connectButton');
const disconnectButton = $('disconnectButton');
const sendButton = $('sendButton');
const bulkButton = $('bulkButton');
const messageInputBox = $('message');

/** `?mib=8` measures with less, or with more. */
const asked = Number(new URLSearchParams(location.search).get('mib'));
const bulkMib = Number.isInteger(asked) && asked > 0 && asked <= 4096 ? asked : 100;

/** What one Connect makes and one Disconnect ends: the connection, its channel, its signalling. */
let current = null;
let isMeasuring = false;
const plot = new Plot($('plot'));

connectButton.addEventListener('click', () => connectPeers());
disconnectButton.addEventListener('click', () => disconnectPeers('Disconnected'));
bulkButton.addEventListener('click', () => measure());
$('messageForm').addEventListener('submit', (event) => {
  event.preventDefault();
  sendMessage();
});
addEventListener('pagehide', () => current && end(current));
bulkButton.textContent = `Send ${bulkMib} MiB`;
setInterval(showPage, 500);

async function connectPeers() {
  clearAlert();
  if (current) {
    alertUser(current.isConnected ? 'Already connected.' : 'Already connecting: one click is enough.');
    return;
  }
  const connection = new RTCPeerConnection();
  const peer = { connection, session: null, waiting: [], isConnected: false, isAlone: false };
  current = peer;
  showNoMeasurement();
  showProcess({});
  peer.sendChannel = connection.createDataChannel('sendChannel');
  for (const event of ['open', 'closing', 'close']) {
    peer.sendChannel.addEventListener(event, () => handleSendChannelStatusChange(peer));
  }
  peer.sendChannel.addEventListener('message', ({ data }) => receiveMessage(data));
  connection.addEventListener('connectionstatechange', () => handleConnectionStateChange(peer));
  for (const event of ['signalingstatechange', 'icegatheringstatechange', 'iceconnectionstatechange']) {
    connection.addEventListener(event, showPage);
  }
  connection.addEventListener('icecandidate', ({ candidate }) => candidate && sendCandidate(peer, candidate));
  say('Connecting');
  showPage();
  try {
    await connection.setLocalDescription(await connection.createOffer());
    const { session, answer } = await Session.open(connection.localDescription);
    if (current !== peer) {
      session.close();
      return;
    }
    peer.session = session;
    await connection.setRemoteDescription(answer);
    session.listen(
      (candidate) => connection.addIceCandidate(candidate).catch(handleError),
      (state) => handleProcessState(peer, state),
      () => handleSignallingLost(peer),
    );
    peer.waiting.splice(0).forEach((candidate) => sendCandidate(peer, candidate));
  } catch (error) {
    if (current === peer) {
      end(peer);
      handleError(error);
    }
  }
}

/** Candidates that come before the process knows the offer wait for it. */
function sendCandidate(peer, candidate) {
  if (!peer.session) {
    peer.waiting.push(candidate);
    return;
  }
  peer.session.sendCandidate(candidate).catch((error) => current === peer && handleError(error));
}

function handleSendChannelStatusChange(peer) {
  const { readyState } = peer.sendChannel;
  say(`Send channel’s status has changed to ${readyState}`);
  if (current !== peer) {
    return;
  }
  if (readyState === 'open') {
    peer.isConnected = true;
    enable(true);
    messageInputBox.focus();
  } else if (readyState === 'closed') {
    end(peer);
    alertUser('The process has closed the channel.');
  } else {
    enable(false);
  }
  showPage();
}

function handleConnectionStateChange(peer) {
  const state = peer.connection.connectionState;
  say(`Connection is ${state}`);
  if (current === peer && state === 'failed') {
    end(peer);
    alertUser('The connection has failed: the process cannot be reached, or does not answer any more.');
  }
  showPage();
}

function handleProcessState(peer, state) {
  if (current !== peer) {
    return;
  }
  peer.isAlone = false;
  showProcess(state);
  if (state.ended) {
    end(peer);
    alertUser(`The process has ended the connection: ${state.ended}`);
  }
}

function handleSignallingLost(peer) {
  if (current === peer && !peer.isConnected) {
    end(peer);
    alertUser('The server is gone: is the process still running?');
  } else if (current === peer && !peer.isAlone) {
    peer.isAlone = true;
    alertUser('The server does not answer; the connection goes on without it.');
  }
}

function sendMessage() {
  clearAlert();
  if (current?.sendChannel.readyState !== 'open') {
    alertUser('The channel is not open: connect first.');
    return;
  }
  try {
    current.sendChannel.send(messageInputBox.value);
  } catch (error) {
    handleError(error);
    return;
  }
  messageInputBox.value = '';
  messageInputBox.focus();
}

function receiveMessage(data) {
  const paragraph = document.createElement('p');
  paragraph.textContent = typeof data === 'string' ? data : `${data.byteLength ?? data.size} bytes`;
  append($('receivebox'), paragraph);
}

function disconnectPeers(why) {
  clearAlert();
  if (!current) {
    alertUser('Not connected.');
    return;
  }
  const peer = current;
  end(peer);
  say(why);
}

/** Forgets the objects and resets what can be clicked. */
function end(peer) {
  current = null;
  leave(peer);
  enable(false);
  showPage();
  showProcess({});
}

function leave(peer) {
  peer.sendChannel.close();
  peer.connection.close();
  peer.session?.close();
}

async function measure() {
  clearAlert();
  if (isMeasuring || current?.sendChannel.readyState !== 'open') {
    alertUser(isMeasuring ? 'Already sending: one click is enough.' : 'The channel is not open: connect first.');
    return;
  }
  isMeasuring = true;
  const total = bulkMib * (1 << 20);
  showNoMeasurement();
  say(`Sending ${bulkMib} MiB`);
  try {
    const time = await transfer(current.connection, total, (arrived, passed) => {
      showProgress(arrived, total, passed);
      const rate = plot.add(arrived, passed);
      if (rate !== undefined) {
        $('rateNow').textContent = `${rate.toFixed(1)} MiB/s`;
      }
    });
    say(`${bulkMib} MiB have arrived in ${(time / 1000).toFixed(2)} s: ${((bulkMib / time) * 1000).toFixed(1)} MiB/s`);
  } catch (error) {
    handleError(error);
  }
  isMeasuring = false;
}

// What stands on the page.

function enable(isOpen) {
  connectButton.disabled = isOpen;
  for (const control of [disconnectButton, messageInputBox, sendButton, bulkButton]) {
    control.disabled = !isOpen;
  }
}

async function showPage() {
  const connection = current?.connection;
  const channel = current?.sendChannel;
  const state = connection?.connectionState;
  $('summary').dataset.state = state ?? 'new';
  $('summary').textContent = !state ? 'not connected' : state === 'new' ? 'connecting' : state;
  show('Signaling', 'page', connection?.signalingState);
  show('Gathering', 'page', connection?.iceGatheringState);
  show('Ice', 'page', connection?.iceConnectionState);
  show('Dtls', 'page', connection?.sctp?.transport?.state);
  show('Sctp', 'page', connection?.sctp?.state);
  show('Connection', 'page', state);
  show('Channel', 'page', channel?.readyState);
  const { roundTripTime, bytesSent, bytesReceived, pair } = connection ? await look(connection) : {};
  if (connection !== current?.connection) {
    return;
  }
  show('Rtt', 'page', describeTime(roundTripTime));
  show('Sent', 'page', describeBytes(bytesSent));
  show('Received', 'page', describeBytes(bytesReceived));
  show('Candidate', 'page', describeCandidate(pair?.local));
  // The process knows its own candidate, but only the page knows which one it has chosen.
  show('Candidate', 'process', describeCandidate(pair?.remote));
}

function showProcess(state) {
  show('Signaling', 'process', state.signalingState);
  show('Gathering', 'process', state.iceGatheringState);
  show('Ice', 'process', state.iceConnectionState);
  show('Dtls', 'process', state.dtlsState);
  show('Sctp', 'process', state.sctpState);
  show('Connection', 'process', state.connectionState);
  show('Channel', 'process', state.channelState);
  show('Rtt', 'process', describeTime(state.roundTripTime));
  show('Sent', 'process', describeBytes(state.bytesSent));
  show('Received', 'process', describeBytes(state.bytesReceived));
  if (state.messages !== undefined) {
    const count = state.messages === 1 ? '1 message' : `${state.messages} messages`;
    $('processMessages').textContent = state.messages ? `${count}, the last one: ${state.lastMessage}` : 'no message';
  }
}

function show(what, end, text) {
  const cell = $(end + what);
  const shown = text ?? '–';
  if (cell.textContent !== shown) {
    cell.textContent = shown;
    cell.dataset.state = shown;
  }
}

function showNoMeasurement() {
  plot.clear();
  showProgress(0, 1);
  $('rateNow').textContent = '–';
}

function showProgress(arrived, total, passed) {
  $('progress').value = arrived / total;
  $('percent').textContent = `${Math.floor((100 * arrived) / total)} %`;
  $('bulkTime').textContent = passed ? `${(passed / 1000).toFixed(2)} s` : '–';
  $('rateMean').textContent = passed ? `${((arrived / (1 << 20) / passed) * 1000).toFixed(1)} MiB/s` : '–';
}

function say(text) {
  const entry = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toTimeString().slice(0, 8);
  entry.append(time, text);
  append($('log'), entry);
}

/** The newest is in sight, and a page that stays open for days does not grow. */
function append(box, child) {
  box.append(child);
  while (box.children.length > 500) {
    box.firstElementChild.remove();
  }
  box.scrollTop = box.scrollHeight;
}

function handleError(error) {
  alertUser(error.name === 'Error' ? error.message : `${error.name}: ${error.message}`);
}

function alertUser(text) {
  say(text);
  $('alert').textContent = text;
  $('alert').hidden = false;
}

function clearAlert() {
  $('alert').hidden = true;
  $('alert').textContent = '';
}
