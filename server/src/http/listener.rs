//! Binding the port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, lookup_host};

/// How often a free port is looked for that is free in both address families.
const MAX_TRIES: u32 = 16;

/// The port can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Something listens there.
    #[error(
        "port {port} on {host} is in use, perhaps by another dataflume: \
         choose another with --port, or any free one with --port 0"
    )]
    InUse {
        /// The host, as it was asked for.
        host: String,
        /// The port.
        port: u16,
    },
    /// The host has no address.
    #[error("--host {host}: {source}")]
    UnknownHost {
        /// The host, as it was asked for.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Anything else.
    #[error("can't listen on {host}:{port}: {source}")]
    Io {
        /// The host, as it was asked for.
        host: String,
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

/// Sockets that listen on one port.
#[derive(Debug)]
pub struct Listeners {
    pub(super) sockets: Vec<TcpListener>,
    port: u16,
}

impl Listeners {
    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Listens on every address of the host; port 0 is any free port, the same for all of them.
///
/// `localhost` is both loopback addresses, whatever the system's tables say: clients try them in
/// either order.
///
/// # Errors
/// See [`BindError`].
pub async fn bind(host: &str, port: u16) -> Result<Listeners, BindError> {
    let addresses = addresses(host).await?;
    let mut tries = 0;
    loop {
        tries += 1;
        match bind_all(&addresses, port).await {
            Ok((sockets, port)) => return Ok(Listeners { sockets, port }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                // The port was free in the first family and not in the second.
                if port != 0 || tries == MAX_TRIES {
                    let host = host.to_owned();
                    return Err(BindError::InUse { host, port });
                }
            }
            Err(source) => {
                let host = host.to_owned();
                return Err(BindError::Io { host, port, source });
            }
        }
    }
}

async fn addresses(host: &str) -> Result<Vec<IpAddr>, BindError> {
    if host == "localhost" {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let unknown = |source| BindError::UnknownHost {
        host: host.to_owned(),
        source,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let found = lookup_host((bare, 0)).await.map_err(unknown)?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown(io::Error::other("the name has no address")));
    }
    Ok(addresses)
}

async fn bind_all(addresses: &[IpAddr], mut port: u16) -> io::Result<(Vec<TcpListener>, u16)> {
    let mut sockets = Vec::new();
    let mut missing = None;
    for address in addresses {
        match TcpListener::bind(SocketAddr::new(*address, port)).await {
            Ok(socket) => {
                port = socket.local_addr()?.port();
                sockets.push(socket);
            }
            // A machine without this address family.
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    match (sockets.is_empty(), missing) {
        (true, Some(error)) => Err(error),
        _ => Ok((sockets, port)),
    }
}

fn is_missing(error: &io::Error) -> bool {
    let unsupported = nix::errno::Errno::EAFNOSUPPORT as i32;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_to_be() {
        let first = bind("localhost", 0).await.unwrap();
        assert_ne!(first.port(), 0);
        let error = bind("localhost", first.port()).await.unwrap_err();
        assert!(matches!(error, BindError::InUse { port, .. } if port == first.port()));
    }

    #[tokio::test]
    async fn all_families_share_the_port() {
        let listeners = bind("localhost", 0).await.unwrap();
        for socket in &listeners.sockets {
            let address = socket.local_addr().unwrap();
            assert!(address.ip().is_loopback());
            assert_eq!(address.port(), listeners.port());
        }
    }

    #[tokio::test]
    async fn an_address_that_is_not_ours_is_refused() {
        assert!(matches!(
            bind("192.0.2.1", 0).await,
            Err(BindError::Io { .. })
        ));
        assert!(matches!(
            bind("no such host", 0).await,
            Err(BindError::UnknownHost { .. })
        ));
    }
}
