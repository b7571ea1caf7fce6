//! The certificates in use, made from the configuration.

use std::sync::Arc;

use super::AppError;
use crate::conf::Config;
use crate::tls::{ClientTls, Renewable, ServerTls};

/// What is encrypted.
#[derive(Default)]
pub(super) struct Encryption {
    /// `tls-port`.
    pub(super) server: Option<ServerTls>,
    /// `tls-replication`.
    pub(super) client: Option<ClientTls>,
}

impl Encryption {
    /// Reads the files of what is asked for.
    pub(super) fn load(config: &Config) -> Result<Self, AppError> {
        let server = (config.resp.tls_port != 0).then(|| ServerTls::load(&config.tls)).transpose().map_err(AppError::TlsPort)?;
        let client = config.tls_replication.then(|| ClientTls::load(&config.tls)).transpose().map_err(AppError::TlsReplication)?;
        Ok(Self { server, client })
    }

    /// What has to be renewed when files change.
    pub(super) fn renewables(&self) -> Vec<Arc<dyn Renewable>> {
        let (server, client) = (self.server.as_ref().map(ServerTls::renewable), self.client.as_ref().map(ClientTls::renewable));
        server.into_iter().chain(client).collect()
    }
}
