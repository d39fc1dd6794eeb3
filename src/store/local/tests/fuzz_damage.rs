//! A store as bytes, and what can happen to bytes.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Numbers at random that are the same every time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.word() >> 11) as usize % end }
    }
}

/// One file: its name in the store, its length, and its bytes as far as any are set.
#[derive(Clone)]
pub struct StoreFile {
    pub name: PathBuf,
    pub length: u64,
    pub bytes: Vec<u8>,
}

/// All files of a store, whatever they are called.
#[derive(Clone)]
pub struct Image {
    pub files: Vec<StoreFile>,
    directories: Vec<PathBuf>,
}

/// The tree's file looks longer than it is.
const BYTES_MAX: usize = 2 << 20;

impl Image {
    /// Of a store that nobody uses.
    pub fn take(store: &Path) -> Self {
        let mut image = Self { files: Vec::new(), directories: Vec::new() };
        image.add(store, Path::new(""));
        image.files.sort_by(|a, b| a.name.cmp(&b.name));
        image
    }

    fn add(&mut self, store: &Path, within: &Path) {
        self.directories.push(within.to_owned());
        for entry in fs::read_dir(store.join(within)).unwrap().flatten() {
            let name = within.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                self.add(store, &name);
                continue;
            }
            let mut bytes = Vec::new();
            fs::File::open(entry.path()).unwrap().take(BYTES_MAX as u64).read_to_end(&mut bytes).unwrap();
            let used = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(used.next_multiple_of(4096).min(bytes.len()));
            self.files.push(StoreFile { name, length: entry.metadata().unwrap().len(), bytes });
        }
    }

    /// Puts the store where there is none.
    pub fn put(&self, store: &Path) {
        let _ = fs::remove_dir_all(store);
        for directory in &self.directories {
            fs::create_dir_all(store.join(directory)).unwrap();
        }
        for file in &self.files {
            let mut target = fs::File::create(store.join(&file.name)).unwrap();
            target.write_all(&file.bytes).unwrap();
            // What was allocated has its space: a sparse file of a full disk is another test's.
            let held = file.length.min(BYTES_MAX as u64);
            if held > file.bytes.len() as u64 {
                target.seek(SeekFrom::Start(file.bytes.len() as u64)).unwrap();
                target.write_all(&vec![0; (held - file.bytes.len() as u64) as usize]).unwrap();
            }
            target.set_len(file.length).unwrap();
        }
    }

    /// Does something to it; says what. `other` is another store.
    pub fn damage(&mut self, dice: &mut Dice, other: &Self) -> String {
        let index = dice.below(self.files.len());
        let others = dice.below(self.files.len());
        let foreign = other.files[dice.below(other.files.len())].clone();
        let file = &mut self.files[index];
        let name = file.name.display().to_string();
        let used = file.bytes.len();
        // Heads of files and of pages hold what decides most.
        let at = match dice.below(4) {
            0 => dice.below(used.min(512)),
            1 => dice.below(used / 4096 + 1) * 4096 + dice.below(64),
            // Most of most files is zeros, and has no meaning.
            _ => (0..8)
                .map(|_| dice.below(used))
                .find(|&at| file.bytes.get(at).is_some_and(|&byte| byte != 0))
                .unwrap_or(0),
        };
        let word = [0, u64::MAX, dice.word(), dice.word() % 64, dice.word() % 100_000][dice.below(5)];
        let mut put = |at: usize, bytes: &[u8]| {
            for (place, byte) in file.bytes.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
        };
        match dice.below(12) {
            0..=2 => {
                if let Some(byte) = file.bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
                format!("{name}: a bit of byte {at}")
            }
            3 | 4 => {
                put(at / 8 * 8, &word.to_ne_bytes());
                format!("{name}: word at {} is {word:x}", at / 8 * 8)
            }
            5 => {
                put(at / 4 * 4, &(word as u32).to_ne_bytes());
                format!("{name}: half at {} is {:x}", at / 4 * 4, word as u32)
            }
            6 => {
                let length = dice.below(file.length as usize + 1) as u64;
                file.length = if dice.below(2) == 0 { length / 4096 * 4096 } else { length };
                file.bytes.truncate(file.length as usize);
                format!("{name}: cut to {}", file.length)
            }
            7 => {
                file.length += 1 + dice.below(100_000) as u64;
                format!("{name}: grown to {}", file.length)
            }
            8 => {
                put(at / 4096 * 4096, &[0; 4096]);
                format!("{name}: zeros at {}", at / 4096 * 4096)
            }
            9 => {
                let noise: Vec<u8> = (0..4096).map(|_| dice.word() as u8).collect();
                put(at / 512 * 512, &noise);
                format!("{name}: noise at {}", at / 512 * 512)
            }
            10 if dice.below(2) == 0 => {
                self.files.remove(index);
                format!("{name}: gone")
            }
            10 => {
                let theirs = foreign.name.display().to_string();
                (file.bytes, file.length) = (foreign.bytes, foreign.length);
                format!("{name}: another store's {theirs}")
            }
            _ => {
                let names = (self.files[index].name.clone(), self.files[others].name.clone());
                (self.files[others].name, self.files[index].name) = names.clone();
                format!("{} and {} swapped", names.0.display(), names.1.display())
            }
        }
    }
}
