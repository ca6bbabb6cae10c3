//! How often a machine may show a wrong credential.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Wrong credentials at once, of one machine.
const BURST: f64 = 20.0;

/// And so many more a second.
const RATE: f64 = 5.0;

/// Machines that are remembered. More come only of somebody who owns very many
/// addresses, and then all that failed are forgotten but the worst.
const MACHINES: usize = 10_000;

#[derive(Default)]
pub struct Throttle(Mutex<HashMap<IpAddr, Failures>>);

#[derive(Clone, Copy)]
struct Failures {
    /// Those that no time has made good for yet.
    count: f64,
    at: Instant,
}

impl Failures {
    fn now(self) -> f64 {
        (self.count - RATE * self.at.elapsed().as_secs_f64()).max(0.0)
    }
}

impl Throttle {
    /// Whether what the machine shows is looked at.
    pub fn may_try(&self, peer: IpAddr) -> bool {
        let machines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        machines
            .get(&machine(peer))
            .is_none_or(|failures| failures.now() < BURST)
    }

    pub fn failed(&self, peer: IpAddr) {
        let mut machines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if machines.len() >= MACHINES {
            machines.retain(|_, failures| failures.now() > BURST / 2.0);
        }
        if machines.len() >= MACHINES {
            machines.clear();
        }
        let failures = machines.entry(machine(peer)).or_insert(Failures {
            count: 0.0,
            at: Instant::now(),
        });
        *failures = Failures {
            count: failures.now() + 1.0,
            at: Instant::now(),
        };
    }
}

/// A network of IPv6 addresses that one machine has for itself counts as one.
fn machine(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_are_one_machine() {
        let throttle = Throttle::default();
        let address = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        for n in 0..30 {
            throttle.failed(address(n));
        }
        assert!(!throttle.may_try(address(99)));
        assert!(throttle.may_try(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1])));
    }

    #[test]
    fn however_many_machines_fail_few_are_remembered() {
        let throttle = Throttle::default();
        for n in 0..30_000_u32 {
            throttle.failed(IpAddr::from(n.to_be_bytes()));
        }
        let remembered = throttle.0.lock().expect("whole").len();
        assert!(remembered <= MACHINES, "{remembered}");
    }
}
