//! What targets have in common: readers take paths.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A folder of this process's own, in memory where the machine has such a place.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = parent.join(format!("cure-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the files");
    folder
});

/// Hands the reader a file called `name` with these bytes; a name may have folders.
pub fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let path = FOLDER.join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("a folder for the file");
    }
    fs::write(&path, bytes).expect("a file to read");
    read(&path);
}
