//! What happened while a connection was opened, for the operator.
//!
//! An error of a read names no address and no file, since collectors see it. What is here names
//! them, and goes to the log only.

use std::{io, net::SocketAddr, sync::Mutex};

use pattoo_base::lock::lock;

use crate::error::ReadError;

/// The addresses that were tried, and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    by_address: Mutex<Vec<(SocketAddr, Attempt)>>,
    /// What is wrong with files.
    files: Mutex<Option<String>>,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
enum Attempt {
    Pending,
    Connected,
    Failed(String),
}

impl Attempts {
    /// Connects to an address.
    pub(super) async fn record<T>(
        &self,
        address: SocketAddr,
        connection: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        self.set(address, Attempt::Pending);
        let connected = connection.await;
        self.set(
            address,
            match &connected {
                Ok(_) => Attempt::Connected,
                Err(error) => Attempt::Failed(error.to_string()),
            },
        );
        connected
    }

    /// The last attempt is the one that counts.
    fn set(&self, address: SocketAddr, attempt: Attempt) {
        let mut attempts = lock(&self.by_address);
        match attempts.iter_mut().find(|(tried, _)| *tried == address) {
            Some((_, last)) => *last = attempt,
            None => attempts.push((address, attempt)),
        }
    }

    /// Files cannot be used.
    pub(super) fn files_failed(&self, error: impl ToString) {
        *lock(&self.files) = Some(error.to_string());
    }

    /// Why there is no connection: an error, and what it does not name.
    pub(crate) fn describe(&self, error: &ReadError) -> String {
        if let Some(files) = &*lock(&self.files) {
            return format!("{error}: {files}");
        }
        let attempts = lock(&self.by_address);
        let tried: Vec<String> = attempts
            .iter()
            .map(|(address, attempt)| match attempt {
                Attempt::Pending => format!("{address}: no answer"),
                Attempt::Connected => format!("connected to {address}"),
                Attempt::Failed(error) => format!("{address}: {error}"),
            })
            .collect();
        let all_failed = attempts.iter().all(|(_, attempt)| matches!(attempt, Attempt::Failed(_)));
        match (tried.is_empty(), all_failed) {
            (true, _) => error.to_string(),
            (false, true) => format!("cannot connect: {}", tried.join("; ")),
            (false, false) => format!("{error} ({})", tried.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, io, time::Duration};

    use super::Attempts;
    use crate::error::ReadError;

    #[tokio::test]
    async fn operator_sees_each_address_that_was_tried_and_what_came_of_it() {
        let attempts = Attempts::default();
        let error = ReadError::Connection("cannot connect: refused".to_owned());
        assert_eq!(attempts.describe(&error), "cannot connect: refused");
        let address = |text: &str| text.parse().unwrap();
        let fail = async || Err::<(), _>(io::Error::other("refused"));
        for _ in 0..3 {
            attempts.record(address("[2001:db8::1]:502"), fail()).await.unwrap_err();
        }
        attempts.record(address("192.0.2.1:502"), fail()).await.unwrap_err();
        let both = "cannot connect: [2001:db8::1]:502: refused; 192.0.2.1:502: refused";
        assert_eq!(attempts.describe(&error), both);
        let silent = attempts.record(address("192.0.2.2:502"), pending::<io::Result<()>>());
        let _ = tokio::time::timeout(Duration::ZERO, silent).await;
        let late = ReadError::Connection("cannot connect: no connection within 3s".to_owned());
        let all = "cannot connect: no connection within 3s ([2001:db8::1]:502: refused; 192.0.2.1:502: refused; 192.0.2.2:502: no answer)";
        assert_eq!(attempts.describe(&late), all);
        attempts.files_failed("/etc/ca.pem: no such file");
        assert_eq!(attempts.describe(&error), "cannot connect: refused: /etc/ca.pem: no such file");
    }
}
