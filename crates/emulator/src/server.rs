//! Binds the emulator's listeners and serves them.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connections;
use super::control::{self, EmulatorControl};
use super::gateway::{self, Gateway, Nonces, Service};
use super::metadata::{self, Instance, Metadata};
use super::oss::{
    self, BucketSettings, CallbackSender, CallbackSettings, Identities, NewAccountRules, Oss,
    PUBLIC_KEY_PATH, Store,
};
use super::ram::{IssuerKeys, SharedRam, StateFileProblem, TokenKey};
use super::ram_api::RamApi;
use super::settings::EmulatorSettings;
use super::sts::Sts;
use appserver_domain::clock::Clock;

/// An emulated STS, and optionally an emulated OSS, RAM and metadata server. They are bound at once and answer from [`Emulator::serve`] on.
pub struct Emulator {
    listener: TcpListener,
    addr: SocketAddr,
    ram: Arc<SharedRam>,
    token_key: TokenKey,
    issuer_keys: IssuerKeys,
    control: EmulatorControl,
    buckets: Vec<BucketSettings>,
    callbacks: CallbackSettings,
    new_account_rules: NewAccountRules,
    oss: Option<OssServer>,
    ram_server: Option<RamServer>,
    instance: Instance,
    metadata: Option<MetadataServer>,
}

struct RamServer {
    listener: TcpListener,
    addr: SocketAddr,
}

struct OssServer {
    listener: TcpListener,
    addr: SocketAddr,
    oss: Oss,
}

struct MetadataServer {
    listener: TcpListener,
    addr: SocketAddr,
    metadata: Metadata,
}

/// Why the emulated OSS cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OssProblem {
    /// The address is in use, or not on loopback.
    #[error("the emulated OSS cannot listen")]
    Listen(#[source] io::Error),
    /// The folder for objects cannot be used; another emulator may hold it.
    #[error("the folder for objects cannot be used")]
    Data(#[source] io::Error),
    /// The client that sends callbacks cannot be built.
    #[error("callbacks cannot be sent")]
    Callbacks(#[source] reqwest::Error),
}

/// Why the emulated RAM cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RamProblem {
    /// The address is in use, or not on loopback.
    #[error("the emulated RAM cannot listen")]
    Listen(#[source] io::Error),
    /// The file with its state cannot be used.
    #[error(transparent)]
    Data(StateFileProblem),
}

#[derive(Debug, thiserror::Error)]
#[error("the emulator listens on loopback only: its control routes need no authentication")]
struct NotLoopback;

impl Emulator {
    /// Binds the address of STS; port 0 chooses a free one. Only loopback is accepted, because the control routes need no
    /// authentication.
    pub async fn bind(
        settings: EmulatorSettings,
        addr: SocketAddr,
        clock: Clock,
    ) -> io::Result<Self> {
        let listener = listen(addr).await?;
        let addr = listener.local_addr()?;
        let EmulatorSettings { ram, token_key, buckets, issuer_keys, instance, callbacks } =
            settings;
        let (ram, control) = (Arc::new(SharedRam::new(ram)), EmulatorControl::new(clock));
        Ok(Self {
            listener,
            addr,
            ram,
            token_key,
            issuer_keys,
            control,
            buckets,
            callbacks,
            new_account_rules: NewAccountRules::default(),
            oss: None,
            ram_server: None,
            instance,
            metadata: None,
        })
    }

    /// Makes OSS treat every account as one that is new since 2025. To be called before [`Emulator::with_oss`].
    #[must_use]
    pub fn with_new_account_rules(mut self, rules: NewAccountRules) -> Self {
        self.new_account_rules = rules;
        self
    }

    /// Adds an OSS on its own loopback address; port 0 chooses a free one. Objects are stored in the folder, or without one in
    /// memory.
    pub async fn with_oss(
        mut self,
        addr: SocketAddr,
        data: Option<&Path>,
    ) -> Result<Self, OssProblem> {
        let listener = listen(addr).await.map_err(OssProblem::Listen)?;
        let addr = listener.local_addr().map_err(OssProblem::Listen)?;
        let control = self.control();
        let buckets = std::mem::take(&mut self.buckets);
        let store = Store::open(buckets, data, control.now()).map_err(OssProblem::Data)?;
        let identities =
            Identities { ram: Arc::clone(&self.ram), token_key: self.token_key.clone() };
        let callbacks = CallbackSender::new(self.callbacks, addr).map_err(OssProblem::Callbacks)?;
        let oss = Oss { identities, store, control, rules: self.new_account_rules, callbacks };
        self.oss = Some(OssServer { listener, addr, oss });
        Ok(self)
    }

    /// Adds the API of RAM and IMS on its own loopback address; port 0 chooses a free one.
    ///
    /// With a folder, the state that its file holds takes the place of the configured users, roles and policies, and each change is
    /// written to it. The folder is locked by [`Emulator::with_oss`], which is to be called first with the same one.
    pub async fn with_ram(
        mut self,
        addr: SocketAddr,
        data: Option<&Path>,
    ) -> Result<Self, RamProblem> {
        let listener = listen(addr).await.map_err(RamProblem::Listen)?;
        let addr = listener.local_addr().map_err(RamProblem::Listen)?;
        if let Some(folder) = data {
            self.ram.keep_in(folder).map_err(RamProblem::Data)?;
        }
        self.ram_server = Some(RamServer { listener, addr });
        Ok(self)
    }

    /// Adds the metadata server of an instance on its own loopback address; port 0 chooses a free one.
    pub async fn with_metadata(mut self, addr: SocketAddr) -> io::Result<Self> {
        let listener = listen(addr).await?;
        let addr = listener.local_addr()?;
        let (ram, token_key) = (Arc::clone(&self.ram), self.token_key.clone());
        let metadata = Metadata::new(self.instance.clone(), ram, token_key, self.control());
        self.metadata = Some(MetadataServer { listener, addr, metadata });
        Ok(self)
    }

    /// The address of STS; the control routes are below `/_emulator/` there.
    pub fn sts_addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of OSS, if there is one.
    pub fn oss_addr(&self) -> Option<SocketAddr> {
        self.oss.as_ref().map(|oss| oss.addr)
    }

    /// Where OSS serves the key that verifies its callbacks, if there is an OSS.
    pub fn oss_callback_key_url(&self) -> Option<String> {
        self.oss_addr().map(|oss| format!("http://{oss}/{PUBLIC_KEY_PATH}"))
    }

    /// The address of RAM and IMS, if they are served.
    pub fn ram_addr(&self) -> Option<SocketAddr> {
        self.ram_server.as_ref().map(|ram| ram.addr)
    }

    /// The address of the metadata server, if there is one.
    pub fn metadata_addr(&self) -> Option<SocketAddr> {
        self.metadata.as_ref().map(|metadata| metadata.addr)
    }

    /// Controls the emulator before and while it serves.
    pub fn control(&self) -> EmulatorControl {
        self.control.clone()
    }

    /// Serves until the shutdown; running calls then have two seconds to end.
    pub async fn serve(self, shutdown: CancellationToken) {
        let gateway = || Gateway {
            ram: Arc::clone(&self.ram),
            token_key: self.token_key.clone(),
            nonces: Nonces::default(),
        };
        let control = &self.control;
        let sts = Service {
            gateway: gateway(),
            product: Sts {
                ram: Arc::clone(&self.ram),
                token_key: self.token_key.clone(),
                issuer_keys: self.issuer_keys,
                faults: Arc::clone(&control.faults),
            },
            faults: Arc::clone(&control.faults),
            calls: Arc::clone(&control.calls),
            clock: control.clock.clone(),
        };
        let ram = Service {
            gateway: gateway(),
            product: RamApi { ram: Arc::clone(&self.ram) },
            faults: Arc::clone(&control.ram_faults),
            calls: Arc::clone(&control.ram_calls),
            clock: control.clock.clone(),
        };
        let router = control::routes(self.control).merge(gateway::routes(sts));
        let sts = connections::serve(self.listener, router, shutdown.clone());
        let ram_shutdown = shutdown.clone();
        let ram = async {
            if let Some(RamServer { listener, .. }) = self.ram_server {
                connections::serve(listener, gateway::routes(ram), ram_shutdown).await;
            }
        };
        let oss_shutdown = shutdown.clone();
        let oss = async {
            if let Some(OssServer { listener, oss, .. }) = self.oss {
                connections::serve(listener, oss::routes(oss), oss_shutdown).await;
            }
        };
        let metadata = async {
            if let Some(MetadataServer { listener, metadata, .. }) = self.metadata {
                connections::serve(listener, metadata::routes(metadata), shutdown).await;
            }
        };
        tokio::join!(sts, oss, ram, metadata);
    }
}

async fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    if !addr.ip().is_loopback() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, NotLoopback));
    }
    TcpListener::bind(addr).await
}
