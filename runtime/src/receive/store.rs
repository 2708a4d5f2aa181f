//! A SQLite file of what was received: every payload as it arrived, and every datapoint in a row of
//! its own.

use std::{path::Path, sync::Arc};

use pattoo_base::{
    clock::unix_millis,
    database::{Database, DatabaseError, Schema},
};
use rusqlite::types::{Null, ToSqlOutput, Value as Sql, ValueRef};
use serde_json::Value;

use super::ReceivedPayload;

const SCHEMA: Schema = Schema {
    application: 0x7057_5243, // "pWRC"
    version: 1,
    sql: "
        CREATE TABLE body (
            id INTEGER PRIMARY KEY,
            received INTEGER NOT NULL,                 -- Unix ms
            agent_id TEXT NOT NULL,
            timestamp INTEGER NOT NULL,                -- Unix ms, when the body was built
            polling_interval INTEGER NOT NULL,         -- ms
            json TEXT NOT NULL
        ) STRICT;
        CREATE TABLE datapoint (
            body INTEGER NOT NULL REFERENCES body (id),
            timestamp INTEGER NOT NULL,                -- Unix ms
            program TEXT NOT NULL,
            target TEXT NOT NULL,
            key TEXT NOT NULL,
            value ANY,
            data_type INTEGER NOT NULL,
            checksum TEXT NOT NULL,
            pairs TEXT NOT NULL                        -- all of its pairs: a JSON list of [key, value]
        ) STRICT;
        CREATE INDEX series ON datapoint (checksum, timestamp);
    ",
    emergency_space: 0,
    upgrades: &[],
};

/// The file of a receiver. Clones share it.
#[derive(Debug, Clone)]
pub struct Store(Database);

impl Store {
    /// Opens the file, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be created or opened, or is another kind of file.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        Database::open(path, SCHEMA).map(Self)
    }

    /// Stores a payload and its datapoints. They are on disk when this returns.
    ///
    /// # Errors
    ///
    /// When they could not be stored. Then none of them is.
    pub async fn add(&self, received: Arc<ReceivedPayload>, json: String) -> Result<(), DatabaseError> {
        let add = move |db: &rusqlite::Connection| {
            let body =
                "INSERT INTO body (received, agent_id, timestamp, polling_interval, json) VALUES (?1, ?2, ?3, ?4, ?5)";
            db.prepare_cached(body)?.execute((
                whole(unix_millis()),
                &received.agent_id,
                whole(received.timestamp),
                whole(received.polling_interval),
                &json,
            ))?;
            let id = db.last_insert_rowid();
            let mut insert = db.prepare_cached("INSERT INTO datapoint VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
            for datapoint in &received.datapoints {
                let pair = |(key, value): &(String, Value)| Value::from(vec![key.as_str().into(), value.clone()]);
                let pairs: Value = datapoint.pairs().map(pair).collect();
                insert.execute((
                    id,
                    Pair(datapoint.get("pattoo_timestamp")),
                    datapoint.text("pattoo_agent_program"),
                    datapoint.text("pattoo_agent_polled_target"),
                    datapoint.text("pattoo_key"),
                    Pair(datapoint.get("pattoo_value")),
                    Pair(datapoint.get("pattoo_data_type")),
                    datapoint.text("pattoo_checksum"),
                    pairs.to_string(),
                ))?;
            }
            Ok(())
        };
        self.0.write(add).await
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A value as SQLite stores it: numbers as numbers, as far as it can represent them.
struct Pair<'a>(Option<&'a Value>);

impl rusqlite::ToSql for Pair<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            None | Some(Value::Null) => ToSqlOutput::Owned(Null.into()),
            Some(Value::String(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Some(Value::Number(number)) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => ToSqlOutput::Owned(Sql::Integer(number)),
                // A counter beyond 2^63 keeps all its digits as text.
                (None, Some(number), _) => ToSqlOutput::Owned(Sql::Text(number.to_string())),
                (None, None, number) => ToSqlOutput::Owned(number.map_or(Sql::Null, Sql::Real)),
            },
            Some(other) => ToSqlOutput::Owned(Sql::Text(other.to_string())),
        })
    }
}
