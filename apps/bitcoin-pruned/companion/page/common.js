// What the pages of all companions share.
export const by = (id) => document.getElementById(id);
export const whole = (number) => Number(number ?? 0).toLocaleString();
export const size = (bytes) => {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** step).toFixed(step < 3 ? 0 : 1)} ${units[step]}`;
};
export const show = (id, text) => { by(id).textContent = text; };

/** Asks one of the server's routes; the error's message is for people. */
export async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Companion': '1' }, body: JSON.stringify(body),
  };
  const answer = await fetch(path, options);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error ?? `status ${answer.status}`);
  return value;
}

/** Calls `look` now and again every `seconds` while the page is seen; a failure goes to `state`. */
export function watch(look, seconds = 10) {
  const once = async () => {
    if (document.hidden) return;
    try { await look(); } catch (error) { show('state', `Waiting: ${error.message}.`); }
  };
  once();
  setInterval(once, seconds * 1000);
  document.addEventListener('visibilitychange', once);
}
