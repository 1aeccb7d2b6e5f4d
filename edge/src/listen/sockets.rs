//! From addresses to bound sockets.
//!
//! SO_REUSEPORT, which lets each worker have sockets of its own on one port, would also let a second process of the same user take
//! the port without either noticing. So the first worker's socket is bound *without* the option, which fails when anybody has the
//! port, and gets the option afterwards; the other workers' sockets then join it. There is no moment at which the port is free again.
//!
//! Guarantees that the sockets of an address are bound in the order of the workers, which [`super::steer`] relies on.

use super::{ListenError, Transport, steer};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// Connections that the kernel completes before we accept them; it takes the lesser of this and `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// A port that is free for TCP may be taken for UDP or on another address; the next one hardly ever is.
const PORT_TRIES: u32 = 32;

/// A burst of datagrams of a few connections fits; the kernel takes the lesser of this and `net.core.rmem_max`.
const UDP_BUFFER_SIZE: usize = 2 << 20;

/// The sockets of one address: one of each kind for each worker, in the order of the workers.
#[derive(Debug)]
pub(super) struct BoundAddress {
    pub(super) address: SocketAddr,
    pub(super) tcp: Vec<TcpListener>,
    pub(super) udp: Vec<UdpSocket>,
}

/// Binds every address. Port 0 means one and the same free port, for TCP and UDP.
///
/// A loopback address that the host does not have (often `::1`) is skipped where another loopback address is bound.
pub(super) fn bind(addresses: &[SocketAddr], worker_count: usize) -> Result<Vec<BoundAddress>, ListenError> {
    let first = addresses.first().ok_or(ListenError::NoAddress)?;
    if first.port() != 0 {
        return bind_all(addresses, first.port(), worker_count);
    }
    for _ in 0..PORT_TRIES {
        match bind_all(addresses, 0, worker_count) {
            // A port that was asked for by number stays taken however often we try.
            Err(ListenError::AddressInUse { address, .. }) if !is_fixed(addresses, address) => {}
            result => return result,
        }
    }
    Err(ListenError::NoFreePort { tries: PORT_TRIES })
}

fn is_fixed(addresses: &[SocketAddr], address: SocketAddr) -> bool {
    address.port() != 0 && addresses.contains(&address)
}

/// `port` stands in for port 0; while it is 0 itself, the first address that can be bound picks it.
fn bind_all(
    addresses: &[SocketAddr],
    mut port: u16,
    worker_count: usize,
) -> Result<Vec<BoundAddress>, ListenError> {
    let mut bound: Vec<BoundAddress> = Vec::with_capacity(addresses.len());
    let mut missing = Vec::new();
    for &asked in addresses {
        let mut address = asked;
        if address.port() == 0 {
            address.set_port(port);
        }
        match bind_one(address, worker_count) {
            Ok(sockets) => {
                if port == 0 {
                    port = sockets.address.port();
                }
                bound.push(sockets);
            }
            Err(ListenError::Bind { address, transport, source })
                if address.ip().is_loopback() && is_missing(&source) =>
            {
                missing.push(ListenError::Bind { address, transport, source });
            }
            Err(error) => return Err(error),
        }
    }
    let loopback_is_bound = bound.iter().any(|sockets| sockets.address.ip().is_loopback());
    match missing.into_iter().next() {
        Some(error) if !loopback_is_bound => Err(error),
        Some(error) => {
            tracing::debug!(%error, "loopback address skipped: this host does not have it");
            Ok(bound)
        }
        None => Ok(bound),
    }
}

/// Whether the host has no such address, or not its whole family.
fn is_missing(error: &io::Error) -> bool {
    let family = nix::libc::EAFNOSUPPORT;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(family)
}

fn bind_one(mut address: SocketAddr, worker_count: usize) -> Result<BoundAddress, ListenError> {
    let mut tcp = Vec::with_capacity(worker_count);
    let mut udp = Vec::with_capacity(worker_count);
    for worker in 0..worker_count {
        let turn = if worker == 0 { Turn::First } else { Turn::Later };
        let listener = bind_tcp(address, turn).map_err(|source| fault(address, Transport::Tcp, source))?;
        address = listener.local_addr().map_err(|source| fault(address, Transport::Tcp, source))?;
        let socket = bind_udp(address, turn).map_err(|source| fault(address, Transport::Udp, source))?;
        tcp.push(listener);
        udp.push(socket);
    }
    steer::attach(&udp).map_err(|source| fault(address, Transport::Udp, source))?;
    Ok(BoundAddress { address, tcp, udp })
}

fn fault(address: SocketAddr, transport: Transport, source: io::Error) -> ListenError {
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::AddressInUse { address, transport },
        _ => ListenError::Bind { address, transport, source },
    }
}

/// Whether a socket is the first on its port, and so has to find it free, or joins the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

fn bind_tcp(address: SocketAddr, turn: Turn) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without this, connections of the last run in TIME_WAIT look like a port in use. A listener still does.
    socket.set_reuse_address(true)?;
    bind_socket(&socket, address, turn)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr, turn: Turn) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(UDP_BUFFER_SIZE)?;
    socket.set_send_buffer_size(UDP_BUFFER_SIZE)?;
    bind_socket(&socket, address, turn)?;
    Ok(socket.into())
}

fn bind_socket(socket: &Socket, address: SocketAddr, turn: Turn) -> io::Result<()> {
    if address.is_ipv6() {
        // `::` and `0.0.0.0` are two addresses, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if turn == Turn::Later {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if turn == Turn::First {
        socket.set_reuse_port(true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn port_0_picks_one_port_for_both_transports_of_every_worker() {
        let bound = bind(&[ANY_PORT, "127.0.0.2:0".parse().expect("address")], 3).expect("binds");
        let port = bound[0].address.port();
        assert_ne!(port, 0);
        for sockets in &bound {
            assert_eq!((sockets.tcp.len(), sockets.udp.len()), (3, 3));
            for tcp in &sockets.tcp {
                assert_eq!(tcp.local_addr().expect("bound"), sockets.address);
            }
            for udp in &sockets.udp {
                assert_eq!(udp.local_addr().expect("bound"), sockets.address);
            }
            assert_eq!(sockets.address.port(), port);
        }
    }

    #[test]
    fn a_port_of_another_edge_is_in_use() {
        let bound = bind(&[ANY_PORT], 2).expect("binds");
        let error = bind(&[bound[0].address], 2).expect_err("in use");
        assert!(matches!(
            error,
            ListenError::AddressInUse { address, transport: Transport::Tcp } if address == bound[0].address
        ));
        assert_eq!(error.to_string(), format!("TCP port {} is in use on 127.0.0.1", bound[0].address.port()));
    }

    #[test]
    fn a_udp_port_in_use_is_told_apart() {
        // Its TCP port may be taken by somebody else; then another one is tried.
        let error = (0..PORT_TRIES)
            .map(|_| {
                let taken = UdpSocket::bind(ANY_PORT).expect("binds");
                bind(&[taken.local_addr().expect("bound")], 2).expect_err("in use")
            })
            .find(|error| matches!(error, ListenError::AddressInUse { transport: Transport::Udp, .. }));
        assert!(error.is_some());
    }

    #[test]
    fn a_udp_port_shared_by_others_is_in_use() {
        let bound = bind(&[ANY_PORT], 2).expect("binds");
        assert!(bind_udp(bound[0].address, Turn::First).is_err());
        assert!(bind_tcp(bound[0].address, Turn::First).is_err());
    }

    #[test]
    fn a_port_is_free_again_once_its_sockets_are_closed() {
        let address = bind(&[ANY_PORT], 2).expect("binds")[0].address;
        bind(&[address], 2).expect("binds again");
    }

    #[test]
    fn an_address_that_the_host_does_not_have_is_an_error() {
        // RFC 5737: for documentation, so nobody has it.
        let error = bind(&["192.0.2.1:0".parse().expect("address")], 1).expect_err("not ours");
        assert!(matches!(error, ListenError::Bind { .. }), "{error:?}");
    }

    #[test]
    fn no_address_is_an_error() {
        assert!(matches!(bind(&[], 1), Err(ListenError::NoAddress)));
    }
}
