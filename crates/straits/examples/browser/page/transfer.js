/** The measurement: sends a number of bytes on a channel of its own, and draws what the process confirms. */

const MIB = 1 << 20;
/** Bytes of a message: what every browser sends and receives. */
const MESSAGE = 64 << 10;
/** Bytes that wait in the browser: enough that it never runs dry, little enough that a disconnect is quick. */
const HIGH_WATER = 4 * MIB;
/** Milliseconds between two points of the plot. */
const STEP = 200;

/**
 * @param {RTCPeerConnection} connection
 * @param {number} total bytes to send
 * @param {(arrived: number, milliseconds: number) => void} onProgress whenever the process confirms some
 * @returns {Promise<number>} milliseconds from the opening of the channel until all has arrived
 */
export async function transfer(connection, total, onProgress) {
  const channel = connection.createDataChannel('bulk');
  channel.bufferedAmountLowThreshold = HIGH_WATER / 2;
  try {
    await happened(channel, 'open');
    const begin = performance.now();
    const confirmed = new Promise((resolve) => {
      channel.addEventListener('message', ({ data }) => {
        const arrived = Number(data);
        onProgress(arrived, performance.now() - begin);
        if (arrived >= total) {
          resolve(performance.now() - begin);
        }
      });
    });
    await send(channel, total);
    return await Promise.race([confirmed, ended(channel)]);
  } finally {
    channel.close();
  }
}

async function send(channel, total) {
  const message = new Uint8Array(MESSAGE);
  for (let sent = 0; sent < total; sent += MESSAGE) {
    if (channel.bufferedAmount > HIGH_WATER) {
      await happened(channel, 'bufferedamountlow');
    }
    channel.send(message.subarray(0, total - sent));
  }
  channel.send('that was all');
}

function happened(channel, event) {
  const happens = new Promise((resolve) => channel.addEventListener(event, resolve, { once: true }));
  return Promise.race([happens, ended(channel)]);
}

function ended(channel) {
  return new Promise((_, reject) => {
    const refuse = () => reject(new Error('The connection ended before everything had arrived.'));
    for (const event of ['closing', 'close']) {
      channel.addEventListener(event, refuse, { once: true });
    }
  });
}

/** The rate over time, as an SVG. */
export class Plot {
  #points = [];
  #last;
  #curve;
  #area;
  #grid;

  constructor(svg) {
    [this.#curve, this.#area, this.#grid] = ['curve', 'area', 'grid'].map((id) => svg.querySelector(`#${id}`));
    this.clear();
  }

  clear() {
    this.#points = [];
    this.#last = { arrived: 0, time: 0 };
    this.#draw();
  }

  /** Takes a confirmation; gives the rate in MiB/s when a step of time is over. */
  add(arrived, time) {
    const passed = time - this.#last.time;
    if (passed < STEP) {
      return undefined;
    }
    const rate = ((arrived - this.#last.arrived) / MIB / passed) * 1000;
    this.#last = { arrived, time };
    this.#points.push({ time, rate });
    this.#draw();
    return rate;
  }

  #draw() {
    const [left, right, top, bottom] = [56, 590, 14, 168];
    const duration = Math.max(2000, ...this.#points.map(({ time }) => time));
    const most = niceCeiling(Math.max(10, ...this.#points.map(({ rate }) => rate)));
    const x = (time) => (left + ((right - left) * time) / duration).toFixed(1);
    const y = (rate) => (bottom - ((bottom - top) * rate) / most).toFixed(1);
    const curve = this.#points.map(({ time, rate }) => `${x(time)},${y(rate)}`);
    this.#curve.setAttribute('points', curve.join(' '));
    const [first, last] = [this.#points[0], this.#points.at(-1)];
    this.#area.setAttribute('d', first ? `M${x(first.time)},${bottom} L${curve.join(' L')} L${x(last.time)},${bottom} Z` : '');
    const rows = [0, 0.5, 1].flatMap((part) => [
      element('line', { x1: left, x2: right, y1: y(part * most), y2: y(part * most) }),
      element('text', { x: left - 6, y: Number(y(part * most)) + 5, 'text-anchor': 'end' }, `${part * most}`),
    ]);
    const columns = [0, 0.5, 1].map((part) => {
      const anchor = ['start', 'middle', 'end'][part * 2];
      return element('text', { x: x(part * duration), y: 192, 'text-anchor': anchor }, `${((part * duration) / 1000).toFixed(1)} s`);
    });
    this.#grid.replaceChildren(...rows, ...columns);
  }
}

/** The next of 10, 20, 50, 100, 200, … */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((nice) => nice >= value);
}

function element(name, attributes, text = '') {
  const made = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, value);
  }
  made.textContent = text;
  return made;
}
