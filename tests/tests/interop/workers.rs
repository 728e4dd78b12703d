//! Pull workers in other languages, with nothing but what those languages bring along.

use std::path::Path;

use e2e::fail::{Attempt, Fail};

use crate::Report;
use crate::site::Site;
use crate::tool::{Tool, lacking, script};

const CONFIG: &str = "ingress { listen {{ingress}} }
pull_api { listen {{pull}}
 auth token raw:tok
}
/a { pull { path /a } }
/b { pull { path /b } }
";

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    let site = Site::start(binary, CONFIG, |_| Ok(()))?;
    for (program, file) in [("python3", "worker.py"), ("node", "worker.mjs")] {
        match lacking(&[program], "--version") {
            Some(why) => report.skipped(program, &why),
            None => work(report, &site, program, file).unwrap_or_else(|Fail(why)| report.failed(program, &why)),
        }
    }
    Ok(())
}

/// The script says `ok NAME` for what holds and ends badly at the first thing that does not.
fn work(report: &mut Report, site: &Site, program: &str, file: &str) -> Attempt<()> {
    let args = [site.at("ingress")?, site.at("pull")?, "tok".to_owned()];
    let ran = Tool::new(program).arg(script(file)).args(args).within(40).run()?;
    let mut checks = 0;
    for name in ran.out.lines().filter_map(|line| line.strip_prefix("ok ")) {
        report.ok(&format!("{program}/{name}"));
        checks += 1;
    }
    match ran.code {
        0 if checks > 0 => Ok(()),
        _ => Err(Fail(format!("{file}: {}", ran.told()))),
    }
}
