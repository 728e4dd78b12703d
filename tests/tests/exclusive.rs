//! One queue file, one process; one address, one listener. Who comes second is told so in one line and changes nothing.

use std::net::TcpListener;

use e2e::fail::Attempt;
use e2e::ports;
use e2e::rig::{PATIENCE, Rig};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
/a { pull { path /a } }
";

/// The lines that are meant for people, not for log readers.
fn for_people(rig: &Rig) -> Vec<String> {
    rig.log().lines().filter(|line| !line.starts_with('{')).map(str::to_owned).collect()
}

#[test]
fn a_second_process_on_a_queue_is_refused_and_the_first_goes_on() -> Attempt<()> {
    let mut first = Rig::started(CONFIG)?;
    let mut ingress = first.client("ingress")?;
    assert_eq!(ingress.post("/a", "before")?, 202);
    let mut worker = first.client("pull")?.token("tok");
    let held = worker.dequeue("/a", 1, "30s", "0s")?;
    assert_eq!(held.len(), 1);

    let mut second = Rig::new(CONFIG)?;
    second.db.clone_from(&first.db);
    second.launch()?;
    assert_eq!(second.ended()?, 1);
    let lines = for_people(&second);
    let db = first.db.to_string_lossy();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains(&*db) && line.contains("process")), "{lines:?}");
    assert_eq!(second.logged(&["open_queue_failed", &db]).len(), 1, "{}", second.log());

    assert_eq!(ingress.post("/a", "after")?, 202);
    assert_eq!(worker.ack("/a", &[&held[0].lease])?, 200, "the lease of the first is intact");
    assert_eq!(worker.drain("/a", "0s")?, ["after"]);
    assert_eq!(first.server.stop("TERM", PATIENCE)?, Some(0));

    // The lock went with its holder.
    second.start()?;
    assert_eq!(second.client("ingress")?.post("/a", "third")?, 202);
    Ok(())
}

#[test]
fn the_lock_of_a_killed_process_is_gone() -> Attempt<()> {
    let mut first = Rig::started(CONFIG)?;
    assert_eq!(first.client("ingress")?.post("/a", "kept")?, 202);
    first.server.stop("KILL", PATIENCE)?;
    let mut second = Rig::new(CONFIG)?;
    second.db.clone_from(&first.db);
    second.start()?;
    assert_eq!(second.client("pull")?.token("tok").drain("/a", "0s")?, ["kept"]);
    Ok(())
}

#[test]
fn a_busy_port_is_named_in_one_line() -> Attempt<()> {
    for listener in ["ingress", "pull", "admin"] {
        let mut rig = Rig::new(CONFIG)?;
        let address = ports::local(rig.names.port(listener)?);
        let taken = TcpListener::bind(address)?;
        rig.launch()?;
        assert_eq!(rig.ended()?, 1, "{listener}");
        let lines = for_people(&rig);
        assert_eq!(lines.len(), 1, "{listener}: {lines:?}");
        assert!(lines.iter().all(|line| line.contains(&address.to_string())), "{listener}: {lines:?}");
        drop(taken);
        rig.start()?;
    }
    Ok(())
}
