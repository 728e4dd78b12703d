//! The compiler on a large file.

use std::fmt::Write;
use std::io;
use std::process::Command;
use std::time::Instant;

use crate::Bench;
use crate::process::product;

const ROUTES: usize = 10_000;

/// `config validate` on 10,000 routes: whole process, the best of five, and its peak memory.
pub(crate) fn measure(bench: &mut Bench) -> io::Result<()> {
    let mut text = String::from("pull_api { auth token raw:t }\n");
    for route in 0..ROUTES {
        let _infallible = write!(
            text,
            "/hooks/{route} {{\n  auth hmac raw:secret-{route}\n  rate_limit {{ rps 10 }}\n  pull {{ path /q{route} }}\n}}\n"
        );
    }
    let path = bench.folder().join("routes.conf");
    std::fs::write(&path, text)?;
    let mut best = f64::MAX;
    let mut peak = 0;
    for _ in 0..5 {
        let begin = Instant::now();
        let mut child = Command::new(product()?)
            .args(["config", "validate", "--format", "text", "--config"])
            .arg(&path)
            .stdout(std::process::Stdio::null())
            .spawn()?;
        // The peak can only be read while the process is there.
        while child.try_wait()?.is_none() {
            peak = peak.max(crate::process::field(&format!("/proc/{}/status", child.id()), "VmHWM:"));
            std::thread::yield_now();
        }
        if !child.wait()?.success() {
            return Err(io::Error::other("the large file is not valid"));
        }
        best = best.min(begin.elapsed().as_secs_f64() * 1000.0);
    }
    let peak = peak as f64 / 1024.0;
    bench.table.bar("config validate, 10,000 routes", format!("{best:.0} ms"), "", "<= 100 ms", best <= 100.0);
    bench.table.bar("its peak memory", format!("{peak:.0} MiB"), "", "<= 100 MB", peak <= 100.0);
    Ok(())
}
