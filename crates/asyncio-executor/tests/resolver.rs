//! Looking names up.

mod support {
    pub(crate) mod gate;
}

use asyncio_executor::{
    AddrInfo, AddrInfoQuery, AddressFamily, Lookup, LoopExecutorExt as _, ResolveError, Resolver, SocketKind,
    SystemResolver, ThreadPoolExecutor,
};
use asyncio_loop::get_running_loop;
use asyncio_tasks::run;
use std::net::SocketAddr;
use support::gate::Gate;

/// Answers nothing: whoever asks it fails the test.
struct Nobody;

impl Resolver for Nobody {
    fn getaddrinfo(&self, query: AddrInfoQuery) -> Lookup<Vec<AddrInfo>> {
        panic!("asked for {query:?}")
    }

    fn getnameinfo(&self, address: SocketAddr, _: i32) -> Lookup<(String, String)> {
        Box::pin(async move { Ok((format!("host of {}", address.ip()), address.port().to_string())) })
    }
}

// sem. 224
#[test]
fn an_address_in_digits_is_not_looked_up() {
    run(async {
        let event_loop = get_running_loop();
        event_loop.set_resolver(Nobody);
        let found = event_loop.getaddrinfo("127.0.0.1", 80).await.unwrap();
        let kinds: Vec<_> = found.iter().map(|found| (found.kind, found.proto, found.address.to_string())).collect();
        let address = || String::from("127.0.0.1:80");
        assert_eq!(
            kinds,
            [
                (SocketKind::Stream, 6, address()),
                (SocketKind::Datagram, 17, address()),
                (SocketKind::Raw, 0, address())
            ]
        );
        let found = event_loop.getaddrinfo("::1", "443").kind(SocketKind::Stream).await.unwrap();
        assert_eq!((found.len(), found[0].address.to_string().as_str()), (1, "[::1]:443"));
        let found = event_loop.getaddrinfo("::1", None::<u16>).family(AddressFamily::Inet6).proto(17).await.unwrap();
        assert_eq!((found.len(), found[0].address.port(), found[0].kind), (1, 0, SocketKind::Datagram));
    });
}

// sem. 224
#[test]
#[cfg(target_os = "linux")]
fn a_zone_is_kept() {
    run(async {
        let event_loop = get_running_loop();
        event_loop.set_resolver(Nobody);
        let found = event_loop.getaddrinfo("fe80::1%lo", 80).await.unwrap();
        let SocketAddr::V6(address) = found[0].address else { panic!("{found:?}") };
        assert_eq!(address.scope_id(), 1, "the loopback interface is the first");
        assert_eq!(event_loop.getnameinfo(address.into(), 0).await.unwrap().0, "host of fe80::1");
    });
}

#[test]
fn what_the_system_answers_for_an_address_is_what_is_answered_without_it() {
    run(async {
        let event_loop = get_running_loop();
        let system = SystemResolver::new(ThreadPoolExecutor::new(1));
        for (host, kind) in [("127.0.0.1", SocketKind::Any), ("::1", SocketKind::Stream), ("::1", SocketKind::Datagram)]
        {
            let ours = event_loop.getaddrinfo(host, 80).kind(kind).await.unwrap();
            let mut query = AddrInfoQuery::default();
            (query.host, query.port, query.kind, query.flags) = (Some(host.into()), Some("80".into()), kind, 4);
            assert_eq!(system.getaddrinfo(query).await.unwrap(), ours, "{host} {kind:?}");
        }
    });
}

/// A name server that does not answer keeps threads of the resolver only; and jobs that do not end keep no look-up waiting.
#[test]
fn looking_names_up_and_other_jobs_have_no_thread_in_common() {
    run(async {
        let event_loop = get_running_loop();
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        event_loop.set_default_executor(pool.clone());
        let look_up = async || event_loop.getaddrinfo("localhost", 80).kind(SocketKind::Stream).await.unwrap();
        look_up().await;
        assert_eq!(pool.statistics().threads, 0, "a look-up uses no thread of the default executor");
        let waiting = gate.clone();
        let stuck = event_loop.run_in_executor(None, move || waiting.pass()).unwrap();
        gate.wait_for(1);
        look_up().await;
        gate.open();
        stuck.await.unwrap();
    });
}

#[test]
fn names_are_looked_up_on_threads_of_their_own() {
    run(async {
        let event_loop = get_running_loop();
        let found = event_loop.getaddrinfo("localhost", 80).kind(SocketKind::Stream).await.unwrap();
        assert!(found.iter().all(|found| found.address.ip().is_loopback()));
        let (host, service) = event_loop.getnameinfo(([127, 0, 0, 1], 9).into(), 3).await.unwrap();
        assert!(!host.is_empty() && !service.is_empty());
        // AI_NUMERICHOST: fails without asking any server.
        let failed = event_loop.getaddrinfo("not an address", 80).flags(4).await;
        assert!(matches!(failed, Err(ResolveError::Failed { code: Some(_), .. })));
        event_loop.shutdown_default_executor(None::<f64>).await.unwrap();
    });
    run(async {
        let event_loop = get_running_loop();
        event_loop.shutdown_default_executor(None::<f64>).await.unwrap();
        assert!(matches!(event_loop.getaddrinfo("localhost", 1).await, Err(ResolveError::ShutDown(_))));
        assert!(event_loop.getaddrinfo("127.0.0.1", 1).await.is_ok(), "there is nothing to be done");
    });
}
