//! The tables of the file, and the conversion from version 2.

use pattoo_base::database::{Schema, Upgrade};
use rusqlite::{Connection, params_from_iter};

/// `totals` is kept by triggers, so that no reader has to count a million rows. A payload is kept with the digest of what
/// was stored, by which damage is told from what was really stored.
///
/// The index tells which queues have something in each block of 4096 numbers. Payloads that are stored together stand
/// together in it, whatever their queues: with the queue first, each of a thousand agents would have a page of its own
/// written for each payload. To find the next payload of a queue costs a look into each block instead, of which a million
/// payloads have 245.
///
/// The last three columns of `payload` were added by version 3. They come after the content, so that rows of version 2,
/// which end there, stay as they are.
pub(crate) const SCHEMA: Schema = Schema {
    application: 0x7057_5350, // "pWSP"
    version: 3,
    sql: "
        CREATE TABLE payload (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            status INTEGER NOT NULL DEFAULT 0,         -- 0 queued, 1 quarantined
            block INTEGER AS (id >> 12),
            queue INTEGER NOT NULL,                    -- 64 bits of a digest of output and agent
            output TEXT NOT NULL,
            agent TEXT NOT NULL,
            program TEXT NOT NULL,
            created INTEGER NOT NULL,                  -- Unix ms
            stored INTEGER NOT NULL,                   -- Unix ms
            count INTEGER NOT NULL,                    -- datapoints
            attempts INTEGER NOT NULL DEFAULT 0,       -- answers that were refusals
            strikes INTEGER NOT NULL DEFAULT 0,        -- of them, those with another payload accepted since the previous one
            accepted_at_strike INTEGER NOT NULL DEFAULT 0,
            refused_since INTEGER,                     -- Unix ms
            refusal TEXT,
            bytes INTEGER NOT NULL,                    -- size of content
            digest BLOB NOT NULL,                      -- SHA-256 of agent, output, content and what is sent with it
            content BLOB NOT NULL,
            epoch INTEGER NOT NULL DEFAULT 0,
            content_type TEXT NOT NULL DEFAULT 'application/json',
            encoding TEXT NOT NULL DEFAULT ''
        ) STRICT;
        CREATE INDEX waiting ON payload (status, block, queue);
        CREATE TABLE output (name TEXT PRIMARY KEY, accepted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE totals (
            queued INTEGER NOT NULL, queued_bytes INTEGER NOT NULL,
            quarantined INTEGER NOT NULL, quarantined_bytes INTEGER NOT NULL,
            delivered INTEGER NOT NULL, refused INTEGER NOT NULL, dropped INTEGER NOT NULL
        ) STRICT;
        INSERT INTO totals VALUES (0, 0, 0, 0, 0, 0, 0);
        CREATE TRIGGER stored AFTER INSERT ON payload BEGIN
            UPDATE totals SET queued = queued + (NEW.status = 0), queued_bytes = queued_bytes + NEW.bytes * (NEW.status = 0),
                quarantined = quarantined + (NEW.status = 1), quarantined_bytes = quarantined_bytes + NEW.bytes * (NEW.status = 1);
        END;
        CREATE TRIGGER removed AFTER DELETE ON payload BEGIN
            UPDATE totals SET queued = queued - (OLD.status = 0), queued_bytes = queued_bytes - OLD.bytes * (OLD.status = 0),
                quarantined = quarantined - (OLD.status = 1), quarantined_bytes = quarantined_bytes - OLD.bytes * (OLD.status = 1);
        END;
        CREATE TRIGGER moved AFTER UPDATE OF status ON payload WHEN OLD.status <> NEW.status BEGIN
            UPDATE totals SET queued = queued + (NEW.status = 0) - (OLD.status = 0),
                queued_bytes = queued_bytes + NEW.bytes * ((NEW.status = 0) - (OLD.status = 0)),
                quarantined = quarantined + (NEW.status = 1) - (OLD.status = 1),
                quarantined_bytes = quarantined_bytes + NEW.bytes * ((NEW.status = 1) - (OLD.status = 1));
        END;
    ",
    emergency_space: EMERGENCY_SPACE,
    upgrades: &[Upgrade { from: 2, sql: VERSION_2, run: from_version_2 }],
};

/// Bytes of SQLite's log that stay allocated, so that payloads can be deleted on a full file system: what some hundred
/// pages of deletions write, between which the log can start over.
pub(crate) const EMERGENCY_SPACE: u64 = 1 << 20;

// words: keep from here, the names of version 2
/// The statements that created a file of version 2, verbatim: such a file is recognised by them.
pub(crate) const VERSION_2: &str = "
        CREATE TABLE body (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            status INTEGER NOT NULL DEFAULT 0,         -- 0 queued, 1 quarantined
            block INTEGER AS (id >> 12),
            lane INTEGER NOT NULL,                     -- a number of server and agent
            server TEXT NOT NULL,
            agent TEXT NOT NULL,
            program TEXT NOT NULL,
            built INTEGER NOT NULL,                    -- Unix ms
            stored INTEGER NOT NULL,                   -- Unix ms
            datapoints INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,       -- answers that were refusals
            strikes INTEGER NOT NULL DEFAULT 0,        -- of them, those with another body accepted since the one before
            accepted_at_strike INTEGER NOT NULL DEFAULT 0,
            refused_since INTEGER,                     -- Unix ms
            refusal TEXT,
            bytes INTEGER NOT NULL,
            digest BLOB NOT NULL,                      -- SHA-256 of agent, server and json
            json BLOB NOT NULL
        ) STRICT;
        CREATE INDEX waiting ON body (status, block, lane);
        CREATE TABLE server (url TEXT PRIMARY KEY, accepted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE totals (
            queued INTEGER NOT NULL, queued_bytes INTEGER NOT NULL,
            quarantined INTEGER NOT NULL, quarantined_bytes INTEGER NOT NULL,
            delivered INTEGER NOT NULL, refused INTEGER NOT NULL, dropped INTEGER NOT NULL
        ) STRICT;
        INSERT INTO totals VALUES (0, 0, 0, 0, 0, 0, 0);
        CREATE TRIGGER stored AFTER INSERT ON body BEGIN
            UPDATE totals SET queued = queued + (NEW.status = 0), queued_bytes = queued_bytes + NEW.bytes * (NEW.status = 0),
                quarantined = quarantined + (NEW.status = 1), quarantined_bytes = quarantined_bytes + NEW.bytes * (NEW.status = 1);
        END;
        CREATE TRIGGER removed AFTER DELETE ON body BEGIN
            UPDATE totals SET queued = queued - (OLD.status = 0), queued_bytes = queued_bytes - OLD.bytes * (OLD.status = 0),
                quarantined = quarantined - (OLD.status = 1), quarantined_bytes = quarantined_bytes - OLD.bytes * (OLD.status = 1);
        END;
        CREATE TRIGGER moved AFTER UPDATE OF status ON body WHEN OLD.status <> NEW.status BEGIN
            UPDATE totals SET queued = queued + (NEW.status = 0) - (OLD.status = 0),
                queued_bytes = queued_bytes + NEW.bytes * ((NEW.status = 0) - (OLD.status = 0)),
                quarantined = quarantined + (NEW.status = 1) - (OLD.status = 1),
                quarantined_bytes = quarantined_bytes + NEW.bytes * ((NEW.status = 1) - (OLD.status = 1));
        END;
    ";

/// Tables and indexes of version 2, what they are in version 3, and of which table.
const RENAMED: [(&str, &str, &str); 3] =
    [("body", "payload", "payload"), ("waiting", "waiting", "payload"), ("server", "output", "output")];
const TRIGGERS: [&str; 3] = ["stored", "removed", "moved"];

/// Converts a file of version 2 without a change to a single row, so that it takes no time and no room: names change, and
/// new columns with defaults follow the last one. SQLite documents that a change of the schema's text which does not
/// change how rows are stored may be made so (<https://sqlite.org/lang_altertable.html>, section 7).
///
/// `ALTER TABLE` is no alternative: it reads the whole table for each column that it adds to a strict one.
fn from_version_2(db: &Connection) -> rusqlite::Result<()> {
    for (sql, values) in steps_from_version_2()? {
        db.execute(&sql, params_from_iter(values))?;
    }
    Ok(())
}

/// The statements of the conversion, with their values.
pub(crate) fn steps_from_version_2() -> rusqlite::Result<Vec<(String, Vec<String>)>> {
    let model = Connection::open_in_memory()?;
    model.execute_batch(SCHEMA.sql)?;
    let made = |name: &str| -> rusqlite::Result<String> {
        model.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0))
    };
    let plain = |sql: &str| (sql.to_owned(), Vec::new());
    let mut steps: Vec<_> = TRIGGERS.iter().map(|trigger| plain(&format!("DROP TRIGGER {trigger}"))).collect();
    steps.push(plain("PRAGMA writable_schema = ON"));
    for (old, new, table) in RENAMED {
        let update = "UPDATE sqlite_schema SET name = ?2, tbl_name = ?3, sql = ?4 WHERE name = ?1";
        steps.push((update.to_owned(), vec![old.to_owned(), new.to_owned(), table.to_owned(), made(new)?]));
    }
    steps.push(plain("UPDATE sqlite_sequence SET name = 'payload' WHERE name = 'body'"));
    // The connection reads the new text, and creating the triggers tells others to read it too.
    steps.push(plain("PRAGMA writable_schema = RESET"));
    for trigger in TRIGGERS {
        steps.push(plain(&made(trigger)?));
    }
    Ok(steps)
}
// words: keep until here
