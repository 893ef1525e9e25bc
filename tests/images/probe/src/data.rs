//! The data directory: checksummed blocks, the count of starts, marks, and filling it up.
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

/// Bytes of a block's payload.
const BLOCK: usize = 4096;

/// What a look at all blocks found.
pub struct Verdict {
    pub good: usize,
    pub bad: Vec<String>,
}

fn dir() -> PathBuf {
    std::env::var("PROBE_DATA").map_or_else(|_| "/data".into(), PathBuf::from)
}

/// Counts this start; 0 when there is no data directory to count in.
pub fn count_start() -> u64 {
    let file = dir().join("starts");
    let before: u64 =
        fs::read_to_string(&file).ok().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    match durable(&file, format!("{}\n", before + 1).as_bytes()) {
        Ok(()) => before + 1,
        Err(_) => 0,
    }
}

/// How often the app has started on this data.
pub fn starts() -> u64 {
    fs::read_to_string(dir().join("starts")).ok().and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// Leaves an empty file of a name.
pub fn mark(name: &str) -> io::Result<()> {
    durable(&dir().join(name), b"")
}

/// Writes `n` more blocks, each with its checksum, all on disk when it returns.
pub fn write(n: usize) -> io::Result<usize> {
    let from = blocks()?.len();
    for index in from..from + n {
        let payload = payload(index as u64);
        let mut bytes = fnv(&payload).to_le_bytes().to_vec();
        bytes.extend_from_slice(&payload);
        durable(&dir().join(format!("block-{index:08}")), &bytes)?;
    }
    Ok(from + n)
}

/// Reads all blocks and compares their checksums and content; a gap in the numbers is a lost block.
pub fn verify() -> io::Result<Verdict> {
    let mut verdict = Verdict { good: 0, bad: Vec::new() };
    for (index, path) in blocks()?.into_iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::read(&path)?;
        let whole = bytes.split_at_checked(8).is_some_and(|(sum, data)| {
            sum == fnv(data).to_le_bytes() && data == payload(index as u64)
        });
        if whole && name == format!("block-{index:08}") {
            verdict.good += 1;
        } else {
            verdict.bad.push(name);
        }
    }
    Ok(verdict)
}

/// Writes one file of so many MiB, to fill the disk.
pub fn fill(mib: u64) -> io::Result<()> {
    let mut file = File::create(dir().join("fill"))?;
    let chunk = vec![0xa5u8; 1 << 20];
    for _ in 0..mib {
        file.write_all(&chunk)?;
    }
    file.sync_all()
}

/// Takes back what [`fill`] wrote.
pub fn unfill() -> io::Result<()> {
    fs::remove_file(dir().join("fill"))
}

fn blocks() -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir())?.collect::<io::Result<Vec<_>>>()?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let is_block = |path: &PathBuf| {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("block-") && !name.ends_with(".part")
        })
    };
    let mut blocks: Vec<PathBuf> = paths.filter(is_block).collect();
    blocks.sort();
    Ok(blocks)
}

/// Written beside, synced, renamed, and the directory synced: there as a whole or not at all.
fn durable(path: &PathBuf, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = File::create(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(dir())?.sync_all()
}

/// The content of a block follows from its number.
fn payload(index: u64) -> Vec<u8> {
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(BLOCK).collect()
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
