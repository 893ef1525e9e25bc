/** The parts of a text, every second one a match of what is searched. */
export function matches(text: string, query: string): string[] {
  if (!query) return [text];
  const out: string[] = [];
  const [hay, needle] = [text.toLocaleLowerCase(), query.toLocaleLowerCase()];
  let from = 0;
  for (let at = hay.indexOf(needle); at >= 0; at = hay.indexOf(needle, from)) {
    out.push(text.slice(from, at), text.slice(at, at + needle.length));
    from = at + needle.length;
  }
  return [...out, text.slice(from)];
}
