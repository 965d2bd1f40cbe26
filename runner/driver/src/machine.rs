//! The machine that workers share with the runner.

use std::sync::OnceLock;

/// How many processors this process may use, as it was when somebody first wanted to know: asking means reading several files.
pub fn processors() -> u32 {
    static COUNT: OnceLock<u32> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let count = std::thread::available_parallelism();
        count.map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
    })
}
