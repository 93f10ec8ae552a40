/** What the browser's `getStats` tells, in the words that the process uses. */

/** @returns {{roundTripTime?: number, bytesSent?: number, bytesReceived?: number, pair?: {local: object, remote: object}}} */
export async function look(connection) {
  const report = await connection.getStats();
  const pair = selected(report);
  if (!pair) {
    return {};
  }
  return {
    roundTripTime: pair.currentRoundTripTime,
    bytesSent: pair.bytesSent,
    bytesReceived: pair.bytesReceived,
    pair: { local: candidate(report.get(pair.localCandidateId)), remote: candidate(report.get(pair.remoteCandidateId)) },
  };
}

/** Not every browser has the member of the transport that names it. */
function selected(report) {
  const all = [...report.values()];
  const transport = all.find((stats) => stats.type === 'transport' && stats.selectedCandidatePairId);
  return transport
    ? report.get(transport.selectedCandidatePairId)
    : all.find((stats) => stats.type === 'candidate-pair' && stats.nominated && stats.state === 'succeeded');
}

function candidate(stats) {
  return stats && { type: stats.candidateType, address: stats.address, port: stats.port, protocol: stats.protocol };
}

export function describeCandidate(candidate) {
  if (!candidate) {
    return '–';
  }
  const { type, address, port, protocol } = candidate;
  // Browsers hide the address behind a name of multicast DNS.
  const shown = !address || address.endsWith('.local') ? 'hidden address' : address.includes(':') ? `[${address}]` : address;
  return `${shown}${port ? `:${port}` : ''} (${type}, ${protocol})`;
}

export function describeTime(seconds) {
  if (typeof seconds !== 'number') {
    return '–';
  }
  const milliseconds = seconds * 1000;
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)} ms`;
}

export function describeBytes(bytes) {
  if (typeof bytes !== 'number') {
    return '–';
  }
  if (bytes < 1 << 10) {
    return `${bytes} B`;
  }
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}
