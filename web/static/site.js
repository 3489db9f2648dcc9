// Requests to the study's site, and whether it was the site that answered. Networks answer in its
// place: a hotel's login page with 200, a proxy with any status. Only what names the page's own
// session is the site's word.

const PATIENCE_MS = 15000;
const LONGEST_PAUSE_MS = 60000;

/** The site has a page of its own to show for these. */
const HAS_A_PAGE = ["session", "cookies", "csrf", "closed", "ended", "stimulus"];

/** Ask the API of `page` (its `here`, `session` and `csrf`) for `path`, or send it an object.
 * `body` is null unless the site itself answered, `status` 0 when nobody did; `after` is how many
 * milliseconds were asked to be waited. */
export async function ask(page, path, sent) {
  // followed, a redirect would lead to somebody else
  const options = { redirect: "manual", signal: AbortSignal.timeout(PATIENCE_MS) };
  if (sent) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json", "X-CSRFToken": page.csrf };
    options.body = JSON.stringify(sent);
  }
  try {
    const response = await fetch(`${page.here}/api/${path}`, options);
    const body = own(await response.text(), page.session);
    const seconds = Number(response.headers.get("Retry-After"));
    const after = seconds > 0 ? Math.min(seconds * 1000, LONGEST_PAUSE_MS) : undefined;
    return { answered: true, ok: response.ok, status: response.status, body, after };
  } catch {
    return { answered: false, ok: false, status: 0, body: null };
  }
}

function own(text, session) {
  try {
    const body = JSON.parse(text);
    return body?.session === session ? body : null;
  } catch {
    return null;
  }
}

/** What an answer means, besides what it says of a vote: "ok", "page" when the site has a page to
 * show instead, or why to ask again: "offline", "busy", "paused", "foreign" or "other". */
export function meaning({ answered, ok, status, body }) {
  if (!answered) return "offline";
  if (body && ok) return "ok";
  if (HAS_A_PAGE.includes(body?.kind)) return "page";
  if (["other-session", "other-study"].includes(body?.kind)) return "other";
  if (body?.kind === "paused") return "paused";
  return body || status === 429 || status >= 500 ? "busy" : "foreign";
}
