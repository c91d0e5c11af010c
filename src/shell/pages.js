// @ts-check
/**
 * Pages for people who open `/health` or an unknown path. Programs get the JSON of the Rust code.
 * The pages are not part of the WebAssembly module, because its size is limited.
 */

const CONTENT_TYPE = 'text/html; charset=utf-8';
/**
 * No page contains anything from the request, so the policy does not restrict scripts. Tests import
 * the library at `/health`, and connect to other origins there.
 */
const POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Returns a page instead of the JSON if the `Accept` header allows HTML, as the header of a browser
 * does when a user opens a URL. Returns all other answers unchanged.
 * @param {Request} request
 * @param {any} answer of the Rust code: a response, or a promise of a response
 */
export function pageFor(request, answer) {
  if (!(answer instanceof Response) || !request.headers.get('Accept')?.includes('text/html'))
    return answer;
  if (answer.status === 404) return respond(answer, 'Page not found', NOT_FOUND);
  if (answer.ok && new URL(request.url).pathname === '/health')
    return respond(answer, 'Server status', HEALTH);
  return answer;
}

const NOT_FOUND = `<h1>Page not found</h1>
<p>This address does not exist. Check the address, or ask the person who sent it for a new link.</p>
<p><a class="join" href="/">Start a call</a></p>
<h2>For developers</h2>
<p>Rooms are at <code>/parties/main/:room</code>. Without <code>text/html</code> in the header
<code>Accept</code>, the response is JSON.</p>`;

const HEALTH = `<p class="well"><span aria-hidden="true"></span>The server is running.</p>
<h1>Server status</h1>
<p><a class="join" href="/">Start a call</a></p>
<h2>For developers</h2>
<p>Without <code>text/html</code> in the header <code>Accept</code>, the response is JSON with the
version of the server. The status of a room is at <code>/parties/main/:room</code>.</p>`;

/** @param {Response} answer the JSON response @param {string} title @param {string} content */
function respond({ status, headers: original }, title, content) {
  const headers = new Headers(original);
  headers.set('Content-Type', CONTENT_TYPE);
  headers.set('Content-Security-Policy', POLICY);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · partyline</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/style.css">
<link rel="stylesheet" href="/status.css">
</head>
<body>
<main>
${content}
</main>
</body>
</html>
`;
  return new Response(page, { status, headers });
}
