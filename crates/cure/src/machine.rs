//! What something was measured or trained on, as far as the system says.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) vectors: String,
    pub(crate) memory_gib: Option<f64>,
    pub(crate) system: String,
    /// Processes that wanted to run over the last minute before the first measurement.
    pub(crate) load: Option<f64>,
}

/// In words, without the load, which is of a moment.
impl fmt::Display for Machine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, {} cores, {}", self.processor, self.cores, self.vectors)?;
        if let Some(gib) = self.memory_gib {
            write!(out, ", {gib:.0} GiB of memory")?;
        }
        write!(out, "; {}", self.system)
    }
}

pub(crate) fn describe() -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib = memory.and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok());
    let release = read("/proc/sys/kernel/osrelease");
    Machine {
        processor: field(&read("/proc/cpuinfo"), "model name")
            .unwrap_or_else(|| format!("{} processor", std::env::consts::ARCH)),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        vectors: vectors(),
        memory_gib: kib.map(|kib| kib / (1024.0 * 1024.0)),
        system: format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned(),
        load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()),
    }
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> String {
    let known = [
        ("AVX-512F", std::arch::is_x86_feature_detected!("avx512f")),
        ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
        ("FMA", std::arch::is_x86_feature_detected!("fma")),
    ];
    let there: Vec<&str> =
        known.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    if there.is_empty() { "SSE2".into() } else { there.join(", ") }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> String {
    "as the processor has".into()
}

/// The most memory this process has had, where the system tells (Linux).
pub(crate) fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib / 1024.0)
}
