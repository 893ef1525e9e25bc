//! The file that the log driver `k8s-file` leaves: it outlives its container.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::{
    frames::{LogLine, Output},
    wire::parse_time,
};

/// Most bytes that are read from the end of such a file.
const MAX_READ: u64 = 256 << 10;

/// The last lines of a log file (of its last 256 KiB), oldest first. Lines of another form are
/// left out.
///
/// # Errors
/// The file cannot be read.
pub fn read_log_file(path: &Path, lines: usize) -> io::Result<Vec<LogLine>> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(MAX_READ);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    let whole = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if from > 0 => bytes.get(end + 1..).unwrap_or_default(),
        _ => &bytes,
    };
    let mut all = parse(whole);
    all.drain(..all.len().saturating_sub(lines));
    Ok(all)
}

/// `<time> <stdout|stderr> <F|P> <text>`; a partial line (`P`) goes on in the next of its stream.
fn parse(bytes: &[u8]) -> Vec<LogLine> {
    let mut all: Vec<LogLine> = Vec::new();
    let mut open: [Option<usize>; 2] = [None, None];
    for line in String::from_utf8_lossy(bytes).lines() {
        let mut parts = line.splitn(4, ' ');
        let (stamp, stream, tag) = (parts.next(), parts.next(), parts.next());
        let text = parts.next().unwrap_or_default();
        let Some(time) = stamp.and_then(parse_time) else { continue };
        let (output, slot) = match stream {
            Some("stdout") => (Output::Stdout, 0),
            Some("stderr") => (Output::Stderr, 1),
            _ => continue,
        };
        let Some(open) = open.get_mut(slot) else { continue };
        let at = match open.and_then(|at| Some((at, all.get_mut(at)?))) {
            Some((at, begun)) => {
                begun.text.push_str(text);
                at
            }
            None => {
                let text = text.to_owned();
                all.push(LogLine { output, text, time: Some(time), truncated: false });
                all.len() - 1
            }
        };
        *open = (tag == Some("P")).then_some(at);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_partial_lines() {
        let text = "2026-05-01T10:00:00.5+02:00 stdout F one\nnonsense\n\
                    2026-05-01T10:00:01+02:00 stderr P two \n\
                    2026-05-01T10:00:01+02:00 stdout F three\n\
                    2026-05-01T10:00:02+02:00 stderr F and a half\n\
                    2026-05-01T10:00:03+02:00 stdout F\n";
        let got: Vec<_> = parse(text.as_bytes()).into_iter().map(|l| (l.output, l.text)).collect();
        let wanted = [
            (Output::Stdout, "one"),
            (Output::Stderr, "two and a half"),
            (Output::Stdout, "three"),
            (Output::Stdout, ""),
        ];
        assert_eq!(got, wanted.map(|(output, text)| (output, text.to_owned())));
    }

    #[test]
    fn only_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let line = format!("2026-05-01T10:00:00Z stdout F {}\n", "x".repeat(1000));
        let last = "2026-05-01T10:00:09Z stdout F last\n";
        std::fs::write(&path, format!("{}{last}", line.repeat(600))).unwrap();
        let all = read_log_file(&path, usize::MAX).unwrap();
        assert!((200..260).contains(&all.len()), "{}", all.len());
        assert!(all.iter().rev().skip(1).all(|line| line.text.len() == 1000));
        assert_eq!(read_log_file(&path, 1).unwrap()[0].text, "last");
        assert!(read_log_file(&dir.path().join("b"), 1).is_err());
    }
}
