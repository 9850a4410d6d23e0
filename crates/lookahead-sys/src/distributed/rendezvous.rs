//! Where the processes meet.

use std::env;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};
use std::time::Duration;

use super::error::{Error, Result};

/// How long a process waits for the others by default, as in PyTorch.
pub const TIMEOUT: Duration = Duration::from_secs(1800);

/// Where the processes of a group meet, and this process's rank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    /// This process's number, below `size`.
    pub rank: usize,
    /// The number of processes.
    pub size: usize,
    /// Name or address of rank 0's machine, or of that of torchrun's store.
    pub address: String,
    /// The store's port there.
    pub port: u16,
    /// Whether the store already exists, as with torchrun's agent. Otherwise rank 0 hosts it, listening only at
    /// `address`.
    pub hosted: bool,
    /// How often the group was restarted. Each start has its own keys in the store.
    pub restart: u64,
    /// This process's number on its machine, which selects its GPU.
    pub local_rank: usize,
    /// The network interface for Gloo; by default the one that leads to `address`.
    pub interface: Option<String>,
}

const RANK: &str = "RANK";
const WORLD_SIZE: &str = "WORLD_SIZE";
const MASTER_ADDR: &str = "MASTER_ADDR";
const MASTER_PORT: &str = "MASTER_PORT";

impl Rendezvous {
    /// Reads the environment variables that torchrun sets:
    ///
    /// | variable | what it is |
    /// |---|---|
    /// | `RANK` | this process's number, from 0 |
    /// | `WORLD_SIZE` | the number of processes |
    /// | `MASTER_ADDR`, `MASTER_PORT` | where the store is |
    /// | `LOCAL_RANK` | this process's number on its machine, from 0; default 0 |
    /// | `TORCHELASTIC_USE_AGENT_STORE` | `True` if torchrun hosts the store; otherwise rank 0 does |
    /// | `TORCHELASTIC_RESTART_COUNT` | how often torchrun restarted the processes |
    /// | `GLOO_SOCKET_IFNAME` | the network interface to use |
    ///
    /// Returns `None` for a single process, if none of the first four is set.
    ///
    /// # Errors
    /// If only some of the first four are set, or a value is invalid.
    pub fn from_env() -> Result<Option<Rendezvous>> {
        Rendezvous::from_variables(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Option<Rendezvous>> {
        let all = [RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT];
        let (set, missing): (Vec<&str>, Vec<&str>) =
            all.into_iter().partition(|name| get(name).is_some());
        if set.is_empty() {
            return Ok(None);
        }
        if !missing.is_empty() {
            return Err(Error::Missing { set: set.join(", "), missing: missing.join(", ") });
        }
        let number = |name: &'static str, allowed: &str, range: std::ops::Range<u64>| {
            let found = get(name).unwrap_or_else(|| "0".to_owned());
            match found.trim().parse() {
                Ok(number) if range.contains(&number) => Ok(number),
                _ => Err(Error::Variable { name, found, allowed: allowed.to_owned() }),
            }
        };
        let most = i32::MAX as u64;
        let size = number(WORLD_SIZE, "a number of processes, at least 1", 1..most)?;
        let below = format!("a whole number from 0 to {}, below WORLD_SIZE", size - 1);
        let rank = number(RANK, &below, 0..size)?;
        let port = number(MASTER_PORT, "a port from 1 to 65535", 1..1 << 16)?;
        let restart = number("TORCHELASTIC_RESTART_COUNT", "a whole number", 0..u64::MAX)?;
        let local_rank = number("LOCAL_RANK", "a whole number", 0..most)?;
        let found = get(MASTER_ADDR).unwrap_or_default();
        let address = host(&found).ok_or_else(|| Error::Variable {
            name: MASTER_ADDR,
            allowed: "a host name or an IP address, without scheme or port".to_owned(),
            found: found.clone(),
        })?;
        let hosted = get("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|value| value == "True");
        Ok(Some(Rendezvous {
            rank: rank as usize,
            size: size as usize,
            address,
            port: port as u16,
            hosted,
            restart,
            local_rank: local_rank as usize,
            interface: get("GLOO_SOCKET_IFNAME"),
        }))
    }

    /// `host:port`, for messages.
    pub(super) fn host_and_port(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// The prefix of the store's keys, which keeps restarts and other users of the same store apart.
    pub(super) fn prefix(&self) -> String {
        format!("lookahead/{}", self.restart)
    }

    fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok((self.address.as_str(), self.port).to_socket_addrs()?.collect())
    }

    /// The socket of the store, if this process hosts it.
    pub(super) fn listen(&self) -> std::io::Result<Option<TcpListener>> {
        if self.hosted || self.rank != 0 {
            return Ok(None);
        }
        // c10d's own socket would listen at all addresses of the machine.
        TcpListener::bind(&self.addresses()?[..]).map(Some)
    }

    /// This machine's own address on the route to the store.
    pub(super) fn own_address(&self) -> std::io::Result<IpAddr> {
        let mut last = std::io::Error::other("the name has no address.");
        for address in self.addresses()? {
            let any: IpAddr = match address {
                SocketAddr::V4(_) => [0, 0, 0, 0].into(),
                SocketAddr::V6(_) => [0u16; 8].into(),
            };
            // Connecting a datagram socket sends nothing; it consults the routing table.
            let own = UdpSocket::bind((any, 0)).and_then(|socket| {
                socket.connect(address)?;
                socket.local_addr()
            });
            match own {
                Ok(own) => return Ok(own.ip()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The host in a text; an IPv6 address may be in brackets, as in URLs.
fn host(text: &str) -> Option<String> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let host = inner.unwrap_or(text);
    // Link-local addresses name an interface: `fe80::1%eth0`.
    let address = host.split('%').next().unwrap_or(host);
    let is_address =
        address.parse::<IpAddr>().is_ok() && (inner.is_none() || address.contains(':'));
    let is_name = |host: &str| {
        let fits = |sign: char| sign.is_alphanumeric() || "-._".contains(sign);
        !host.is_empty() && host.chars().all(fits)
    };
    (is_address || (inner.is_none() && is_name(host))).then(|| host.to_owned())
}

#[cfg(test)]
mod tests;
