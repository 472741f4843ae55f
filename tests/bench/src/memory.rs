//! How much memory the process has held.

/// Most resident memory that this process has held so far, in bytes; `None` where there is no
/// `/proc/self/status` to say.
pub fn peak_resident() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmHWM:    1234 kB`, whose kB are 1024 bytes.
fn parse(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_high_water_mark_is_read_in_kibibytes() {
        let status = "VmPeak:\t  9000 kB\nVmHWM:\t    1234 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(parse(status), Some(1234 * 1024));
        assert_eq!(parse("VmRSS:\t    1000 kB\n"), None);
    }
}
