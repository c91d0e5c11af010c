// @ts-check
/** Starts RxDB's own signaling server on the port of the command line. */

import { startSignalingServerSimplePeer } from 'rxdb/plugins/replication-webrtc';

await startSignalingServerSimplePeer({ host: '127.0.0.1', port: Number(process.argv[2]) });
