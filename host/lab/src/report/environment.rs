//! The machine a run took place on.

/// Name and value of what is known of it.
pub fn environment() -> Vec<(String, String)> {
    let mut facts = vec![
        ("program".to_owned(), format!("jpkise {}", env!("CARGO_PKG_VERSION"))),
        ("system".to_owned(), format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
    ];
    if let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") {
        facts.push(("kernel".to_owned(), release.trim().to_owned()));
    }
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok();
    let model = cpu.as_deref().and_then(|text| text.lines().find_map(|l| l.strip_prefix("model name")));
    if let Some(model) = model {
        facts.push(("cpu".to_owned(), model.trim_start_matches([':', '\t', ' ']).to_owned()));
    }
    if let Ok(cores) = std::thread::available_parallelism() {
        facts.push(("cores".to_owned(), cores.to_string()));
    }
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    facts.push(("build".to_owned(), build.to_owned()));
    facts
}
