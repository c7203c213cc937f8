//! What the journal promises: every acknowledged entry is read back once, in order, whatever
//! happened to the process, and nothing that was not appended is ever read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use baton_core::{ExecutionId, NanoUsd, TeamId};
use proptest::prelude::*;
use tempfile::TempDir;

use super::segment::Medium;
use super::*;
use crate::{Control, ControlEvent, Opened};

fn control(id: i64, text: &str) -> Entry {
    Entry::Control(Control { at_us: id, event: ControlEvent::Started { version: text.into() } })
}

fn finished(id: u8, input: Option<&str>) -> Entry {
    let opened = Opened {
        execution: ExecutionId::new(1, [id; 10]),
        team: TeamId::new("support"),
        key: None,
        partition: Vec::new(),
        intent: None,
        started_at_us: 1,
        deadline_us: 1,
        reserved: NanoUsd(5),
        stream: true,
        simulated: false,
        subject: None,
    };
    let mut record = opened.interrupted();
    record.input = input.map(Into::into);
    Entry::Finished(Box::new(record))
}

fn content(entry: &Entry) -> (bool, bool) {
    let Entry::Finished(record) = entry else { panic!("not a record") };
    (record.input.is_some(), record.content_dropped)
}

fn small() -> JournalOptions {
    JournalOptions { bytes_max: 64 << 10, segment_bytes: 2 << 10, ..JournalOptions::default() }
}

fn open(dir: &TempDir, options: JournalOptions) -> (Journal, Recovered) {
    Journal::open(dir.path(), options).unwrap()
}

fn read(journal: &Journal) -> Vec<Entry> {
    let entries = journal.entries(0).unwrap();
    assert!(entries.is_sorted_by(|a, b| a.0 < b.0), "sequences ascend");
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn release(journal: &Journal, sequence: u64) -> Result<(), JournalError> {
    journal.reader(0).unwrap().release(sequence)
}

fn last_segment(dir: &TempDir) -> PathBuf {
    let number = *segment::list(dir.path()).unwrap().last().unwrap();
    segment::path(dir.path(), number)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// One life of a process: what it appends, and where its last segment is cut when it dies.
#[derive(Clone, Debug)]
struct Life {
    entries: Vec<String>,
    cut: prop::sample::Index,
    garbage: Vec<u8>,
}

fn life() -> impl Strategy<Value = Life> {
    let entries = prop::collection::vec("[a-z\u{0}\"é]{0,400}", 0..20);
    let garbage = prop::collection::vec(any::<u8>(), 0..40);
    (entries, any::<prop::sample::Index>(), garbage).prop_map(|(entries, cut, garbage)| Life { entries, cut, garbage })
}

/// Appends, dies, and returns what must be there at the next start: everything before, and of this
/// life's entries those that lie wholly before the cut.
fn live(dir: &TempDir, life: &Life, before: Vec<Entry>) -> Vec<Entry> {
    let (journal, recovered) = open(dir, small());
    assert_eq!(recovered.damage, []);
    assert_eq!(read(&journal), before);
    let mut expected = before;
    for (id, text) in life.entries.iter().enumerate() {
        expected.push(control(id as i64, text));
        block_on(journal.append(expected.last().unwrap()).unwrap()).unwrap();
    }
    assert_eq!(read(&journal), expected);
    block_on(journal.close());

    let path = last_segment(dir);
    let mut bytes = std::fs::read(&path).unwrap();
    let cut = life.cut.index(bytes.len() + 1);
    let mut at = segment::HEADER as usize;
    while let Some(frame) = frame::read(&bytes[at..]) {
        at += frame.size();
        if at > cut {
            expected.pop();
        }
    }
    bytes.truncate(cut);
    bytes.extend(&life.garbage);
    std::fs::write(&path, bytes).unwrap();
    expected
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_acknowledged_is_read_back_once_and_in_order(lives in prop::collection::vec(life(), 1..5)) {
        let dir = TempDir::new().unwrap();
        let expected = lives.iter().fold(Vec::new(), |before, life| live(&dir, life, before));
        prop_assert_eq!(read(&open(&dir, small()).0), expected);
    }
}

#[test]
fn callers_on_many_threads_each_keep_their_order() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, JournalOptions { bytes_max: 8 << 20, ..small() });
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || {
                let append = |id| journal.append(&control(thread, &format!("{id:04}"))).unwrap();
                let acks: Vec<Ack> = (0..500).map(append).collect();
                acks.into_iter().for_each(|ack| block_on(ack).unwrap());
            });
        }
    });
    let read = read(&journal);
    assert_eq!(read.len(), 2000);
    for thread in 0..4 {
        let own: Vec<&Entry> = read.iter().filter(|e| matches!(e, Entry::Control(c) if c.at_us == thread)).collect();
        let expected: Vec<Entry> = (0..500).map(|id| control(thread, &format!("{id:04}"))).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn damage_in_the_middle_is_reported_and_what_follows_is_read() {
    let dir = TempDir::new().unwrap();
    let entries: Vec<Entry> = (0..3).map(|id| control(id, "text")).collect();
    let (journal, _) = open(&dir, small());
    entries.iter().for_each(|entry| block_on(journal.append(entry).unwrap()).unwrap());
    block_on(journal.close());

    let path = last_segment(&dir);
    let mut bytes = std::fs::read(&path).unwrap();
    let size = (bytes.len() - segment::HEADER as usize) / 3;
    let second = segment::HEADER as usize + size;
    bytes[second + size / 2] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let (journal, recovered) = open(&dir, small());
    let damage = Damage { segment: path.clone(), offset: second as u64, bytes: size as u64, entries_max: 1 };
    assert_eq!(recovered, Recovered { entries: 2, torn_bytes: 0, damage: vec![damage] });
    assert_eq!(read(&journal), [entries[0].clone(), entries[2].clone()]);
    release(&journal, 3).unwrap();
    assert!(path.with_extension("damaged").exists() && !path.exists(), "kept for whoever looks into it");
}

#[test]
fn two_processes_cannot_share_a_folder() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, small());
    let error = Journal::open(dir.path(), small()).err().unwrap();
    assert_eq!(error, JournalError::Locked { dir: dir.path().to_owned(), pid: Some(std::process::id()) });
    block_on(journal.clone().close());
    assert_eq!(journal.append(&control(1, "late")).err(), Some(JournalError::Closed));
    assert!(Journal::open(dir.path(), small()).is_ok());
}

#[test]
fn content_is_dropped_at_four_fifths_and_entries_are_refused_at_the_bound() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, small());
    let record = finished(1, Some(&"x".repeat(1000)));
    let mut kept = Vec::new();
    let error = loop {
        match journal.append(&record) {
            Ok(ack) => block_on(ack).unwrap(),
            Err(error) => break error,
        }
        kept.push(journal.state());
        assert!(kept.len() < 1000, "there is no bound");
    };
    assert_eq!(error, JournalError::Full { bound: 64 << 10 });
    assert!(journal.state().refusing && journal.state().dropping_content);
    let read = read(&journal);
    assert_eq!(read.len(), kept.len());
    let full = read.iter().take_while(|entry| content(entry) == (true, false)).count();
    assert!(full > 30 && kept[full - 2].bytes <= 64 * 1024 / 10 * 8, "content stays until 80 %: {full}");
    assert!(read[full..].iter().all(|entry| content(entry) == (false, true)), "and is labelled missing behind it");

    release(&journal, journal.state().written).unwrap();
    block_on(journal.append(&record).unwrap()).unwrap();
    assert!(!journal.state().refusing);
}

#[test]
fn a_record_over_the_limit_loses_its_content_and_other_entries_are_refused() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, JournalOptions { entry_bytes_max: 1000, ..small() });
    block_on(journal.append(&finished(1, Some(&"x".repeat(1000)))).unwrap()).unwrap();
    assert_eq!(content(&read(&journal)[0]), (false, true));
    let refused = journal.append(&control(1, &"x".repeat(1000))).err().unwrap();
    assert!(matches!(refused, JournalError::TooLarge { max: 1000, .. }), "{refused}");
}

#[test]
fn sequences_go_on_where_every_entry_was_released_or_the_files_are_gone() {
    let dir = TempDir::new().unwrap();
    for life in 1..=3 {
        let (journal, _) = open(&dir, small());
        release(&journal, u64::MAX).unwrap();
        assert_eq!(journal.entries(0).unwrap(), []);
        block_on(journal.append(&control(1, "text")).unwrap()).unwrap();
        assert_eq!(journal.state().written, life);
        block_on(journal.close());
    }
    std::fs::remove_dir_all(dir.path()).unwrap();
    let (journal, _) = open(&dir, JournalOptions { after: 40, ..small() });
    block_on(journal.append(&control(1, "text")).unwrap()).unwrap();
    assert_eq!(journal.state().written, 41);
}

#[test]
fn what_waits_for_the_writer_has_a_bound() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, JournalOptions { queue_bytes_max: 40, ..small() });
    let bytes = journal.state().bytes;
    let refused = journal.append(&control(1, "text")).err();
    assert_eq!(refused, Some(JournalError::QueueFull { bound: 40 }));
    assert_eq!(journal.state().bytes, bytes, "what is refused is not counted");
}

/// A disk with so many bytes left; a write that does not fit leaves what did.
#[derive(Clone)]
struct Disk {
    left: Arc<AtomicU64>,
    syncs: Arc<AtomicBool>,
}

impl Disk {
    fn new(left: u64) -> Self {
        Self { left: Arc::new(AtomicU64::new(left)), syncs: Arc::new(AtomicBool::new(true)) }
    }

    fn open(&self, dir: &TempDir, durability: Durability) -> Journal {
        let disk = self.clone();
        let create: segment::Create = Arc::new(move |path: &Path| {
            let file = File::options().append(true).create_new(true).open(path)?;
            Ok(Arc::new(OnDisk { file, disk: disk.clone() }) as Arc<dyn Medium>)
        });
        let lock = Journal::lock(dir.path()).unwrap();
        Journal::open_on(dir.path(), JournalOptions { durability, ..small() }, lock, create).unwrap().0
    }
}

struct OnDisk {
    file: File,
    disk: Disk,
}

impl Medium for OnDisk {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let fits = self.disk.left.load(Ordering::SeqCst).min(bytes.len() as u64);
        self.disk.left.fetch_sub(fits, Ordering::SeqCst);
        self.file.append(&bytes[..fits as usize])?;
        if fits < bytes.len() as u64 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        if self.disk.syncs.load(Ordering::SeqCst) { Ok(()) } else { Err(io::Error::other("the disk is gone")) }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }
}

/// `fail` breaks the disk and `heal` mends it: the entry in between is refused, and never read.
fn check_healing(durability: Durability, fail: impl Fn(&Disk), heal: impl Fn(&Disk)) {
    let dir = TempDir::new().unwrap();
    let disk = Disk::new(100_000);
    let journal = disk.open(&dir, durability);
    let (first, lost, last) = (control(1, &"a".repeat(300)), control(2, &"b".repeat(300)), control(3, "c"));
    block_on(journal.append(&first).unwrap()).unwrap();
    fail(&disk);
    let error = block_on(journal.append(&lost).unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("could not write to"), "{error}");
    assert_eq!(journal.refusal(), Some(error));
    assert!(journal.state().refusing);

    heal(&disk);
    block_on(journal.append(&last).unwrap()).unwrap();
    assert_eq!(journal.refusal(), None);
    let expected = [first, last];
    assert_eq!(read(&journal), expected);
    block_on(journal.close());
    let (journal, recovered) = open(&dir, small());
    assert_eq!(recovered, Recovered { entries: 2, ..Recovered::default() });
    assert_eq!(read(&journal), expected);
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let fail = |disk: &Disk| disk.left.store(200, Ordering::SeqCst);
    check_healing(Durability::Process, fail, |disk| disk.left.store(100_000, Ordering::SeqCst));
}

#[test]
fn a_failed_sync_refuses_and_heals() {
    let set = |syncs| move |disk: &Disk| disk.syncs.store(syncs, Ordering::SeqCst);
    check_healing(Durability::Machine, set(false), set(true));
}

#[test]
fn machine_durability_keeps_the_same_promises() {
    let dir = TempDir::new().unwrap();
    let options = JournalOptions { durability: Durability::Machine, ..small() };
    let (journal, _) = open(&dir, options.clone());
    block_on(journal.append(&control(1, "text")).unwrap()).unwrap();
    block_on(journal.close());
    assert_eq!(read(&open(&dir, options).0), [control(1, "text")]);
}

#[test]
fn the_writer_ends_with_its_last_handle_and_writes_what_it_was_given() {
    let dir = TempDir::new().unwrap();
    let (journal, _) = open(&dir, small());
    let Inner::File(shared) = &*journal.0 else { panic!("in a file") };
    let mut done = shared.done.subscribe();
    let ack = journal.append(&control(1, "text")).unwrap();
    drop(journal);
    block_on(done.wait_for(|done| *done)).unwrap();
    block_on(ack).unwrap();
    assert_eq!(read(&open(&dir, small()).0), [control(1, "text")]);
}

#[test]
fn memory_acknowledges_at_once() {
    let journal = Journal::memory();
    block_on(journal.append(&control(1, "text")).unwrap()).unwrap();
    assert_eq!(read(&journal), [control(1, "text")]);
    block_on(journal.clone().close());
    assert_eq!(journal.append(&control(1, "late")).err(), Some(JournalError::Closed));
}
