//! Framing does not depend on how the bytes are cut, and bad input is an error, never a panic.

use proptest::prelude::*;

use super::*;

fn frame(stream: u8, data: &[u8]) -> Vec<u8> {
    let mut out = vec![stream, 0, 0, 0];
    out.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    out.extend(data);
    out
}

fn run(pieces: &[&[u8]], limit: usize, stamps: bool) -> Result<Vec<LogLine>, BadHeader> {
    let (mut demux, mut lines) = (Demux::default(), Lines::new(limit, stamps));
    let mut out = VecDeque::new();
    for piece in pieces {
        demux.push(piece);
        while let Some((output, data)) = demux.next()? {
            lines.push(output, &data, &mut out);
        }
    }
    lines.finish(&mut out);
    Ok(out.into())
}

fn line(output: Output, text: &str) -> LogLine {
    LogLine { output, text: text.to_owned(), time: None, truncated: false }
}

#[test]
fn two_outputs_do_not_mix() {
    let all = [frame(1, b"a"), frame(2, b"x\n"), frame(1, b"b\nc")].concat();
    let want =
        vec![line(Output::Stderr, "x"), line(Output::Stdout, "ab"), line(Output::Stdout, "c")];
    assert_eq!(run(&[&all], 100, false), Ok(want));
}

#[test]
fn long_lines_are_cut_and_the_next_is_whole() {
    let all = frame(1, b"0123456789\nok\n");
    let got = run(&[&all], 4, false).unwrap();
    assert_eq!(got[0], LogLine { truncated: true, ..line(Output::Stdout, "0123") });
    assert_eq!(got[1], line(Output::Stdout, "ok"));
}

#[test]
fn a_terminal_has_no_headers() {
    let got = run(&[b"hello\r\nworld"], 100, false).unwrap();
    assert_eq!(got, [line(Output::Stdout, "hello"), line(Output::Stdout, "world")]);
}

#[test]
fn times_are_taken_off() {
    let got = run(&[&frame(1, b"1970-01-01T00:00:02Z a b\nno time\n")], 100, true).unwrap();
    assert_eq!((got[0].time, got[0].text.as_str()), (Some(Timestamp(2000)), "a b"));
    assert_eq!((got[1].time, got[1].text.as_str()), (None, "no time"));
}

#[test]
fn a_bad_header_after_a_good_frame_is_an_error() {
    let all = [frame(1, b"a\n"), b"garbage!".to_vec()].concat();
    assert_eq!(run(&[&all], 100, false), Err(BadHeader(*b"garbage!")));
}

proptest! {
    #[test]
    fn cutting_does_not_matter(
        frames in prop::collection::vec((1u8..=2, "[a-z\n]{0,20}"), 1..8),
        cuts in prop::collection::vec(1usize..9, 1..60),
    ) {
        let all: Vec<u8> = frames.iter().flat_map(|(s, t)| frame(*s, t.as_bytes())).collect();
        let (mut pieces, mut rest) = (Vec::new(), all.as_slice());
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() { break; }
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            pieces.push(head);
            rest = tail;
        }
        prop_assert_eq!(run(&pieces, 10, false), run(&[&all], 10, false));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(&[&bytes], 16, true);
    }
}
