// The log stream: lines as they are written, one JSON object a line.
import type { LogFrame, LogLine, UserError } from './types';

export interface LogQuery {
  app: string;
  service?: string;
  lines: number;
  follow: boolean;
}

/** Splits what comes in pieces into whole lines. */
export class Lines {
  private rest = '';

  push(piece: string): string[] {
    const parts = (this.rest + piece).split('\n');
    this.rest = parts.pop() ?? '';
    return parts.filter((line) => line.trim() !== '');
  }
}

/** Reads the stream until it ends or the signal says so; frames come in bundles. */
export async function stream(query: LogQuery, signal: AbortSignal, take: (lines: LogLine[]) => void): Promise<void> {
  const params = new URLSearchParams({ app: query.app, lines: String(query.lines) });
  if (query.service) params.set('service', query.service);
  if (query.follow) params.set('follow', '1');
  const answer = await fetch(`/rpc/v1/logs?${params}`, { credentials: 'same-origin', signal });
  if (!answer.ok || !answer.body) throw new Error(`the log answered ${answer.status}`);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const lines = new Lines();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const frames = lines.push(value).map((line) => JSON.parse(line) as LogFrame);
    const failed = frames.find((frame): frame is { error: UserError } => 'error' in frame);
    const good = frames.filter((frame): frame is LogLine => !('error' in frame));
    if (good.length > 0) take(good);
    if (failed) throw new Error(failed.error.message);
  }
}
