//! The certificates and secrets in use, made from the configuration.

use std::sync::Arc;

use super::AppError;
use crate::base::{ClientCertificates, PeerNames, TlsSettings};
use crate::conf::{Config, SecretIds};
use crate::raft::PeerTls;
use crate::renewal::Renewable;
use crate::secret::{Keys, Sealer, SecretFile};
use crate::tls::{ClientTls, ServerTls, rehearse};

/// What is encrypted.
#[derive(Default)]
pub(super) struct Encryption {
    /// `tls-port`.
    pub(super) server: Option<ServerTls>,
    /// `tls-replication`.
    pub(super) client: Option<ClientTls>,
    /// `raft tls`.
    pub(super) raft: Option<PeerTls>,
    /// `grpc tls`.
    pub(super) grpc: Option<ServerTls>,
    /// `raft secret-file`.
    pub(super) secret: Option<SecretFile>,
}

impl Encryption {
    /// Reads the files of what is asked for.
    pub(super) fn load(config: &Config) -> Result<Self, AppError> {
        let tls = &config.tls;
        let server = (config.resp.tls_port != 0).then(|| ServerTls::load("connections to tls-port", tls));
        let client = config.tls_replication.then(|| ClientTls::load("connections to the data nodes", tls));
        let secret = config.raft.secret_file.as_ref().map(|path| SecretFile::read(&config.resolve(path)));
        let grpc = config.grpc_tls.then(|| ServerTls::load_h2("connections to the gRPC port", &of_grpc(config)));
        Ok(Self {
            server: server.transpose().map_err(AppError::TlsPort)?,
            client: client.transpose().map_err(AppError::TlsReplication)?,
            raft: config.raft.tls.then(|| peers(config)).transpose()?,
            grpc: grpc.transpose().map_err(AppError::GrpcTls)?,
            secret: secret.transpose().map_err(AppError::Secret)?,
        })
    }

    /// Whether this sentinel would let itself in as a peer.
    pub(super) fn rehearse(&self, config: &Config) -> Result<(), AppError> {
        let tried = self.raft.as_ref().map(|tls| rehearse(&tls.connect, &tls.accept, config.raft.advertise.host()));
        tried.transpose().map(drop).map_err(AppError::RaftTls)
    }

    /// Seals and opens the secrets of settings.
    pub(super) fn sealer(&self) -> Sealer {
        Sealer::new(self.secret.clone())
    }

    /// What has to be renewed when files change.
    pub(super) fn renewables(&self) -> Vec<Arc<dyn Renewable>> {
        let accepting = [self.server.as_ref(), self.raft.as_ref().map(|tls| &tls.accept), self.grpc.as_ref()];
        let connecting = [self.client.as_ref(), self.raft.as_ref().map(|tls| &tls.connect)];
        let accepting = accepting.into_iter().flatten().map(ServerTls::renewable);
        let certificates = accepting.chain(connecting.into_iter().flatten().map(ClientTls::renewable));
        certificates.chain(self.secret.as_ref().map(SecretFile::renewable)).collect()
    }
}

/// gRPC clients may have an authority of their own: then no certificate of a data node or a sentinel is one of a client.
fn of_grpc(config: &Config) -> TlsSettings {
    match &config.grpc_ca_file {
        None => config.tls.clone(),
        Some(file) => TlsSettings { ca_file: Some(file.clone()), ca_dir: None, ..config.tls.clone() },
    }
}

/// Between sentinels everybody has a certificate, whatever clients are asked for.
fn peers(config: &Config) -> Result<PeerTls, AppError> {
    let (tls, raft) = (&config.tls, &config.raft);
    let names = PeerNames { allowed: raft.tls_allowed_names.clone() };
    let mut mutual = TlsSettings { clients: ClientCertificates::Required, peers: Some(names), ..tls.clone() };
    if let Some(file) = &raft.tls_ca_file {
        (mutual.ca_file, mutual.ca_dir) = (Some(config.resolve(file)), None);
    }
    Ok(PeerTls {
        accept: ServerTls::load_h2("connections from peers", &mutual).map_err(AppError::RaftTls)?,
        connect: ClientTls::load_h2("connections to peers", &mutual).map_err(AppError::RaftTls)?,
    })
}

/// Opens the files that a configuration names for TLS and as its secret, and tries them where both ends are ours. Says which secrets there are.
///
/// # Errors
/// Which file cannot be used, for what, and why.
pub fn check_named_files(config: &Config) -> Result<Option<SecretIds>, String> {
    let looked = Encryption::load(config).and_then(|encryption| {
        encryption.rehearse(config)?;
        Ok(encryption.secret.map(|file| file.keys()))
    });
    let ids = |keys: Arc<Keys>| SecretIds {
        current: keys.current().id().to_string(),
        all: keys.all().iter().map(|key| key.id().to_string()).collect(),
    };
    looked.map(|keys| keys.map(ids)).map_err(|error| error.to_string())
}
