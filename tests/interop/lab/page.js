/** The page's end of a scenario. Rust calls these functions and awaits what they return. */
'use strict';

// Not `const`: the scripts of a driver see the members of the window.
window.lab = {
  /** A new connection. */
  start() {
    this.connection = new RTCPeerConnection();
    this.channels = new Map();
    this.candidates = [];
    this.hasAllCandidates = false;
    this.announced = [];
    this.changed = new EventTarget();
    const change = () => this.changed.dispatchEvent(new Event('change'));
    this.change = change;
    this.connection.addEventListener('icecandidate', ({ candidate }) => {
      this.candidates.push(candidate && candidate.toJSON());
      this.hasAllCandidates ||= !candidate;
      change();
    });
    for (const state of ['icegatheringstatechange', 'connectionstatechange', 'signalingstatechange']) {
      this.connection.addEventListener(state, change);
    }
    this.connection.addEventListener('datachannel', ({ channel }) => {
      this.announced.push(channel.label);
      this.watch(channel);
    });
  },

  end() {
    this.connection.close();
  },

  /** Waits until `look` gives something, looking again after each event. */
  until(look) {
    return new Promise((resolve) => {
      const again = () => {
        const found = look();
        if (found) {
          this.changed.removeEventListener('change', again);
          resolve(found);
        }
      };
      this.changed.addEventListener('change', again);
      again();
    });
  },

  watch(channel) {
    channel.binaryType = 'arraybuffer';
    const entry = { channel, messages: [], isClosed: false };
    this.channels.set(channel.label, entry);
    channel.addEventListener('message', ({ data }) => {
      entry.messages.push(data);
      this.change();
    });
    channel.addEventListener('open', this.change);
    channel.addEventListener('close', () => {
      entry.isClosed = true;
      this.change();
    });
    this.change();
  },

  create(label, init = {}) {
    this.watch(this.connection.createDataChannel(label, init));
  },

  /** The settings of the channel, once it is open. */
  async opened(label) {
    const { channel } = await this.until(() => {
      const entry = this.channels.get(label);
      return entry?.channel.readyState === 'open' && entry;
    });
    const { protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id } = channel;
    return { label, protocol, ordered, maxRetransmits, maxPacketLifeTime, negotiated, id };
  },

  async closed(label) {
    await this.until(() => this.channels.get(label).isClosed);
  },

  channel(label) {
    return this.channels.get(label).channel;
  },

  /** `{text}`, or `{kind, size, seed}`: that many bytes, or characters, as `Content` in Rust makes them. */
  send(label, contents) {
    for (const content of contents) {
      this.channel(label).send(content.text ?? make(content));
    }
  },

  /** Takes the next messages: their kinds, sizes in bytes and digests. */
  async received(label, count) {
    const entry = this.channels.get(label);
    await this.until(() => entry.messages.length >= count);
    return Promise.all(entry.messages.splice(0, count).map(describe));
  },

  /** Everything that is there. */
  async all(label) {
    return Promise.all(this.channels.get(label).messages.splice(0).map(describe));
  },

  /** Sets a local description that begins a gathering; gives it with all its candidates. */
  async describe(description) {
    // The state may be that of the gathering before, for a moment.
    this.hasAllCandidates = false;
    await this.connection.setLocalDescription(description);
    await this.until(() => this.hasAllCandidates);
    return this.connection.localDescription.toJSON();
  },

  async offer(options) {
    return this.describe(await this.connection.createOffer(options));
  },

  async answer(offer) {
    await this.connection.setRemoteDescription(offer);
    return this.describe(await this.connection.createAnswer());
  },

  accept(answer) {
    return this.connection.setRemoteDescription(answer);
  },

  /** Waits until the connection is in this state. */
  async state(wanted) {
    await this.until(() => this.connection.connectionState === wanted);
  },

  /** The next candidate; `null` after the last. */
  async candidate() {
    await this.until(() => this.candidates.length > 0);
    return this.candidates.shift();
  },

  /** The nominated pair, the peer's candidate of it, and the channels, once there is such a pair: no event tells of it. */
  async stats() {
    for (;;) {
      const report = await this.connection.getStats();
      const all = (type) => [...report.values()].filter((stats) => stats.type === type);
      const pair = all('candidate-pair').find(({ nominated, state }) => nominated && state === 'succeeded');
      if (pair) {
        return { pair, remote: report.get(pair.remoteCandidateId), channels: all('data-channel') };
      }
    }
  },
};

function make({ kind, size, seed }) {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    bytes[i] = kind === 'text' ? 97 + ((i + seed) % 26) : (i * 31 + (i >> 8) + seed) & 255;
  }
  return kind === 'text' ? new TextDecoder().decode(bytes) : bytes;
}

async function describe(data) {
  const isText = typeof data === 'string';
  const bytes = isText ? new TextEncoder().encode(data) : new Uint8Array(data);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return { kind: isText ? 'text' : 'binary', size: bytes.length, sha256 };
}
