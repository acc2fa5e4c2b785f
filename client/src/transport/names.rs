//! Host names in addresses, looked up with the system's resolver.
//!
//! libp2p brings a resolver of its own, which knows nothing of `/etc/hosts` or of a container
//! network's names, and takes long to build.

use std::net::IpAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// Time for one lookup. A resolver that is down must not keep the other addresses waiting.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Replaces `/dns/…`, `/dns4/…` and `/dns6/…` by the IP addresses they stand for. What cannot be
/// resolved stays as it is, and the dial names it in its error.
pub async fn resolve(addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut resolved = Vec::with_capacity(addresses.len());
    for address in addresses {
        let known = match address.iter().next() {
            Some(Protocol::Dns(name)) => look_up(&name, |_| true).await,
            Some(Protocol::Dns4(name)) => look_up(&name, |ip| ip.is_ipv4()).await,
            Some(Protocol::Dns6(name)) => look_up(&name, |ip| ip.is_ipv6()).await,
            _ => Vec::new(),
        };
        if known.is_empty() {
            resolved.push(address);
            continue;
        }
        resolved.extend(known.into_iter().map(|ip| {
            let host = std::iter::once(Protocol::from(ip));
            host.chain(address.iter().skip(1)).collect::<Multiaddr>()
        }));
    }
    resolved
}

async fn look_up(name: &str, wanted: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
    let lookup = tokio::net::lookup_host((name, 0));
    match tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await {
        Ok(Ok(hosts)) => hosts.map(|host| host.ip()).filter(wanted).collect(),
        Ok(Err(error)) => {
            tracing::debug!(name, %error, "the name cannot be resolved");
            Vec::new()
        }
        Err(_) => {
            tracing::debug!(name, "the name was not resolved in time");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_replaced_and_the_rest_stays() {
        let table = [
            ("/dns4/localhost/tcp/7001", "/ip4/127.0.0.1/tcp/7001"),
            ("/dns4/localhost/udp/7001/quic-v1", "/ip4/127.0.0.1/udp/7001/quic-v1"),
            ("/ip6/::1/tcp/1", "/ip6/::1/tcp/1"),
        ];
        for (address, expected) in table {
            let resolved = resolve(vec![address.parse().unwrap()]).await;
            assert!(resolved.contains(&expected.parse().unwrap()), "{address}: {resolved:?}");
        }
        // Not a name at all, so no resolver is asked; the address is kept for the error.
        let hopeless: Multiaddr = "/dns4/..../tcp/1".parse().unwrap();
        assert_eq!(resolve(vec![hopeless.clone()]).await, [hopeless]);
    }
}
