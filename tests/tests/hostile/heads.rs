//! Attacks by size: heads.

use e2e::fail::Attempt;

use crate::bodies::again;
use crate::site::{Scale, Site, Stop, refused};

/// 100 KiB in one field, 10,000 fields, one field more than is taken, a name of 100 KiB, a head that never ends: 431.
pub(crate) fn large(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let fields = [
        format!("X-Long: {}\r\n\r\n", "y".repeat(100 << 10)),
        "X: 1\r\n".repeat(10_000) + "\r\n",
        "X: 1\r\n".repeat(100) + "\r\n",
        format!("{}: 1\r\n\r\n", "n".repeat(100 << 10)),
        "X-Endless: 1\r\n".repeat(20_000),
    ];
    again(scale, stop, || {
        for fields in &fields {
            let mut conn = site.connect()?;
            conn.send(format!("POST /bad HTTP/1.1\r\nHost: localhost\r\n{fields}").as_bytes())?;
            refused(&mut conn, 431)?;
        }
        Ok(())
    })
}

/// Targets from just over the limit to 1 MiB, of every kind of byte that grows when it is read: 414.
pub(crate) fn long_targets(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    again(scale, stop, || {
        for (part, count) in
            [("y", 17_000), ("y", 1 << 20), ("#", 8_000), ("%41", 1 << 18), ("/", 1 << 20), ("?a=b&", 1 << 18)]
        {
            let mut conn = site.connect()?;
            conn.send(format!("POST /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", part.repeat(count)).as_bytes())?;
            refused(&mut conn, 414)?;
        }
        Ok(())
    })
}
