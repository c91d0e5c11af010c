// @ts-check
/**
 * Starts the server of bittorrent-tracker on the port of the command line. Its command needs a native
 * module that npm does not install here.
 */

const name = 'bittorrent-tracker/server'; // the package has no types
const { default: Server } = await import(name);

const server = new Server({ http: false, udp: false, ws: true, stats: false });
server.listen(Number(process.argv[2]), '127.0.0.1');
