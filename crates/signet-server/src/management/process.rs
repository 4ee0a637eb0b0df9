use std::fs;

/// What the process uses, as the standard Prometheus metrics have it. Read from `/proc` (proc(5)); what is not there,
/// on a system without it, is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<f64>,
    pub(super) virtual_bytes: Option<f64>,
    pub(super) open_files: Option<f64>,
    pub(super) max_files: Option<f64>,
    pub(super) threads: Option<f64>,
    /// Seconds since 1970.
    pub(super) started_at: Option<f64>,
}

impl Usage {
    pub(super) fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let system = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks = number(rustix::param::clock_ticks_per_second());
        let page = number(u64::try_from(rustix::param::page_size()).unwrap_or(4096));
        let mut usage = Self::parse(&stat, &system, ticks, page);
        usage.open_files = fs::read_dir("/proc/self/fd").ok().map(|files| number(files.fold(0, |count, _| count + 1)));
        usage.max_files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.map(number);
        usage
    }

    fn parse(stat: &str, system: &str, ticks: f64, page: f64) -> Self {
        // The second field is the name in parentheses, which may hold anything; the third follows the last of them.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |position: usize| fields.get(position - 3)?.parse().ok().map(number);
        let boot = system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).map(number);
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks),
            threads: field(20),
            started_at: boot.zip(field(22)).map(|(boot, start)| boot + start / ticks),
            virtual_bytes: field(23),
            resident_bytes: field(24).map(|pages| pages * page),
            ..Self::default()
        }
    }
}

/// Prometheus counts in floating point; what is beyond 2⁵³ loses its last digits.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "there is no other conversion")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_name_is() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 9 0 5000 1048576 25 18446744073709551615";
        let usage = Usage::parse(stat, "cpu 1 2\nbtime 1700000000\n", 100.0, 4096.0);
        let expected = Usage {
            cpu_seconds: Some(4.0),
            threads: Some(9.0),
            started_at: Some(1_700_000_050.0),
            virtual_bytes: Some(1_048_576.0),
            resident_bytes: Some(102_400.0),
            ..Usage::default()
        };
        assert_eq!(usage, expected);
        assert_eq!(Usage::parse("", "", 100.0, 4096.0), Usage::default());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something() {
        let usage = Usage::read();
        assert!(usage.resident_bytes.is_some_and(|bytes| bytes > 100_000.0), "{usage:?}");
        assert!(usage.open_files.is_some_and(|count| count >= 3.0) && usage.max_files.is_some(), "{usage:?}");
        assert!(usage.started_at.is_some_and(|seconds| seconds > 1_700_000_000.0), "{usage:?}");
    }
}
