//! `bridge`: an agent's events to Kafka, and records of Kafka to the agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::bridge_key;
use super::bridge_port::Port;
use super::loops::Loop;
use super::run::listen_to_signals;
use super::{Exit, UsageError, open, output};
use crate::bridge::{self, Agent, Browser, Courier, Gate, Incoming, Outgoing};
use crate::config::{BridgeConfig, BridgeListenConfig, Config, HopConfig, ListenConfig};
use crate::http::Listener;
use crate::http::bridge::BridgeApi;
use crate::kafka::{Cluster, Inbox, InboxConfig, KafkaFailure};
use crate::shutdown::{self, Trigger};

/// Threads for events, records and requests.
const THREADS: usize = 2;

/// Beyond what Kafka may take to acknowledge what is in flight, for leaving the
/// group and closing connections.
const GRACE: Duration = Duration::from_secs(15);

/// Bridges until told to stop. Exit 0. Errors: Kafka does not answer or refuses
/// the credential; the address cannot be listened on. Blocks.
pub fn bridge(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let plan = Plan::of(config)?;
    let (trigger, shutdown) = shutdown::signal();
    let patience = plan.patience();
    let cluster = plan.cluster(None)?;
    let bridging = Bridging::start(plan, &cluster)?;
    bridging.runtime.spawn(listen_to_signals(
        Arc::new(trigger),
        Arc::new(AtomicBool::new(true)),
        patience,
    ));
    if let Some(address) = bridging.address {
        let url = format!("http://{address}");
        let line = match json {
            true => json!({ "bridge": url }).to_string(),
            false => format!("bridge: {url}"),
        };
        match output::print(&(line + "\n")).map_err(anyhow::Error::from) {
            // Whether anybody reads the address or not, it is served.
            Err(error) if !output::reader_has_left(&error) => return Err(error),
            _ => {}
        }
    }
    bridging.runtime.block_on(shutdown.due());
    bridging.stop();
    Ok(Exit::Clean)
}

/// What is to be bridged: all of its configuration, checked.
pub(super) struct Plan {
    bridge: BridgeConfig,
    hop: HopConfig,
    /// With the key that clients must show.
    listen: Option<(BridgeListenConfig, String)>,
    hosts: Vec<String>,
    form: bridge::Form,
}

impl Plan {
    /// Tells the options of the plugin's file that have no effect.
    pub fn of(config: &Config) -> anyhow::Result<Self> {
        let (bridge, hop) = config.bridge()?;
        for warning in &bridge.plugin.warnings {
            warn!("{warning}");
        }
        let ListenConfig {
            bridge: listen,
            hosts,
            ..
        } = config.listen()?;
        if listen.is_none() && bridge.agent.is_none() {
            let why = "there is nothing to bridge: bridge-listen is off, and there is no bridge-agent-url";
            return Err(UsageError(why.to_owned()).into());
        }
        let listen = match listen {
            Some(listen) => {
                let key = match &listen.key {
                    Some(key) => key.clone(),
                    None => bridge_key::of_file(&listen.key_file)?,
                };
                Some((listen, key))
            }
            None => None,
        };
        Ok(Self {
            form: bridge::form(&bridge),
            bridge,
            hop,
            listen,
            hosts,
        })
    }

    /// What is to be bridged beside other loops; `None` where the command line
    /// names no bridge.
    pub fn beside(config: &Config) -> anyhow::Result<Option<Self>> {
        config.bridge_stanza().map(|_| Self::of(config)).transpose()
    }

    /// What a good end may take.
    pub fn patience(&self) -> Duration {
        self.bridge.delivery + GRACE
    }

    /// The cluster that is open already, where it is the same one; else it must
    /// answer: wrong credentials are told at once. Blocks.
    pub fn cluster(
        &self,
        open: Option<(&HopConfig, &Arc<Cluster>)>,
    ) -> Result<Arc<Cluster>, KafkaFailure> {
        if let Some((hop, cluster)) = open
            && hop.kind == self.hop.kind
            && hop.properties == self.hop.properties
        {
            return Ok(cluster.clone());
        }
        open::cluster(&self.hop)
    }
}

/// A bridge at work.
pub(super) struct Bridging {
    runtime: Runtime,
    trigger: Trigger,
    listening: Option<JoinHandle<()>>,
    incoming: Option<thread::JoinHandle<()>>,
    /// Where it really listens; `None` is off.
    address: Option<SocketAddr>,
}

impl Bridging {
    /// Opens everything and begins.
    pub fn start(plan: Plan, cluster: &Arc<Cluster>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("bridge")
            .enable_all()
            .build()?;
        let (trigger, shutdown) = shutdown::signal();
        let gate = Arc::<Gate>::default();
        let outgoing = Outgoing::open(cluster, &plan.bridge, plan.form.clone(), gate.clone())?;
        let outgoing = Arc::new(outgoing);
        let mut running = Self {
            runtime,
            trigger,
            listening: None,
            incoming: None,
            address: None,
        };
        if let Some((listen, key)) = &plan.listen {
            let port = Port {
                outgoing: outgoing.clone(),
                browser: Arc::new(Browser::new(cluster.clone(), plan.bridge.group.clone())),
                webhook_topics: plan.bridge.webhook_topics.clone(),
                gate: gate.clone(),
            };
            let api = BridgeApi::new(key.clone(), plan.bridge.event_bytes, Arc::new(port));
            let bound = Listener::bind(&listen.address.host, listen.address.port);
            let listener = running.runtime.block_on(bound);
            let listener = listener
                .with_context(|| format!("bridge: {} cannot be listened on", listen.address))?
                .with_hosts(&plan.hosts);
            running.address = Some(listener.address());
            info!("bridge on http://{}", listener.address());
            let serving = listener.serve(Arc::new(api), shutdown.clone(), plan.bridge.delivery);
            running.listening = Some(running.runtime.spawn(serving));
        }
        if let Some(incoming) = incoming(&plan, cluster, &outgoing, &gate)? {
            let handle = running.runtime.handle().clone();
            let thread = thread::Builder::new().name("bridge-incoming".to_owned());
            let run = move || incoming.run(&handle, &shutdown);
            running.incoming = Some(thread.spawn(run)?);
        }
        Ok(running)
    }

    /// Until told to end.
    pub fn into_loop(self) -> Loop {
        Loop::new("bridge", move |shutdown| {
            self.runtime.block_on(shutdown.due());
            self.stop();
            Ok(Exit::Clean)
        })
    }

    /// Takes nothing more; what is in flight may end, what was taken is
    /// committed.
    pub fn stop(self) {
        self.trigger.shut_down();
        if let Some(incoming) = self.incoming
            && incoming.join().is_err()
        {
            warn!("the way to the agent had ended by itself");
        }
        if let Some(listening) = self.listening {
            // An error says that it has ended anyhow.
            let _ = self.runtime.block_on(listening);
        }
        self.runtime.shutdown_background();
    }
}

/// The way to the agent, where there is one.
fn incoming(
    plan: &Plan,
    cluster: &Arc<Cluster>,
    outgoing: &Outgoing,
    gate: &Arc<Gate>,
) -> anyhow::Result<Option<Incoming>> {
    let Some(agent) = &plan.bridge.agent else {
        info!("no record goes to an agent: there is no bridge-agent-url");
        return Ok(None);
    };
    let courier = Courier {
        agent: Agent::new(agent.clone())?,
        form: plan.form.clone(),
        outbox: outgoing.outbox(),
        dead_letter_topic: plan.bridge.dead_letter_topic.clone(),
        gate: gate.clone(),
    };
    let config = InboxConfig {
        group: plan.bridge.group.clone(),
        topics: plan.bridge.inbound_topics.clone(),
        from_end: plan.bridge.from_end,
        properties: plan.bridge.plugin.consumer.clone(),
    };
    // Told now; later on it would be one trouble of many.
    Inbox::check(cluster, &config)?;
    Ok(Some(Incoming {
        cluster: cluster.clone(),
        config,
        courier: Arc::new(courier),
        gate: gate.clone(),
    }))
}
