// @ts-check
/** Writes the address of this deployment into the samples of `clients.html`. */

const { hostname, host, origin, protocol } = location;
const secure = protocol === 'https:';
const port = location.port || (secure ? 443 : 80);

for (const sample of document.querySelectorAll('pre, code'))
  sample.textContent = (sample.textContent ?? '')
    // PeerJS is the only client that takes the three parts of the address one by one.
    .replaceAll(
      'host: "your-worker.example", port: 443, secure: true',
      `host: "${hostname}", port: ${port}, secure: ${secure}`,
    )
    .replaceAll('https://your-worker.example', origin)
    .replaceAll('wss://your-worker.example', origin.replace('http', 'ws'))
    .replaceAll('your-worker.example', host);
