//! Sealing and opening what the settings of a group hold. Cheap to clone.

use std::sync::Arc;

use super::file::SecretFile;
use super::keys::{Key, KeyId, Keys};
use super::seal::OpenError;
use crate::base::settings::SettingChange;
use crate::base::{GroupName, GroupSettings, Sealed, Secret, StoredSecret, StoredWebhook, WebhookUrl};

/// Why a sealed setting cannot be used here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot open the sealed {what} of {group}: {why}")]
pub struct CannotOpen {
    what: &'static str,
    group: GroupName,
    why: String,
}

/// What this sentinel seals and opens with; without a secret file it does neither.
#[derive(Clone, Debug, Default)]
pub struct Sealer {
    file: Option<SecretFile>,
}

/// The settings that are sealed. The words are part of what is sealed: they never change.
const PASSWORD: (&str, &str) = ("auth-pass", "password");
const WEBHOOK: (&str, &str) = ("notification-webhook", "webhook");

impl Sealer {
    /// A sealer with the keys of this file, if there is one.
    pub const fn new(file: Option<SecretFile>) -> Self {
        Self { file }
    }

    /// The keys of now; none without a secret file.
    pub fn keys(&self) -> Option<Arc<Keys>> {
        self.file.as_ref().map(SecretFile::keys)
    }

    /// The names of the keys that it opens with, the one that it seals with first.
    pub fn key_ids(&self) -> Vec<String> {
        self.keys().map(|keys| keys.all().iter().map(|key| key.id().to_string()).collect()).unwrap_or_default()
    }

    /// The settings with their secrets in clear text.
    ///
    /// # Errors
    /// [`CannotOpen`] for the first that cannot be opened.
    pub fn open(&self, group: &GroupName, settings: &GroupSettings) -> Result<GroupSettings, CannotOpen> {
        let mut opened = settings.clone();
        opened.auth_pass = settings.auth_pass.as_ref().map(|pass| self.open_password(group, pass)).transpose()?.map(StoredSecret::from);
        opened.notification_webhook =
            settings.notification_webhook.as_ref().map(|url| self.open_webhook(group, url)).transpose()?.map(StoredWebhook::from);
        Ok(opened)
    }

    /// A password in clear text.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open_password(&self, group: &GroupName, pass: &StoredSecret) -> Result<Secret, CannotOpen> {
        match pass {
            StoredSecret::Clear(secret) => Ok(secret.clone()),
            StoredSecret::Sealed(sealed) => self.open_text(group, PASSWORD, sealed).map(Secret::new),
        }
    }

    /// A webhook in clear text.
    ///
    /// # Errors
    /// [`CannotOpen`].
    pub fn open_webhook(&self, group: &GroupName, url: &StoredWebhook) -> Result<WebhookUrl, CannotOpen> {
        match url {
            StoredWebhook::Clear(url) => Ok(url.clone()),
            StoredWebhook::Sealed { url, .. } => {
                let text = self.open_text(group, WEBHOOK, url)?;
                WebhookUrl::new(&text).map_err(|bad| cannot(group, WEBHOOK, bad.to_string()))
            }
        }
    }

    fn open_text(&self, group: &GroupName, (setting, what): (&str, &'static str), sealed: &Sealed) -> Result<String, CannotOpen> {
        let place = (setting, what);
        let id: KeyId = sealed.key().parse().map_err(|bad: super::keys::NotAKeyId| cannot(group, place, bad.to_string()))?;
        let Some(keys) = self.keys() else {
            return Err(cannot(group, place, format!("key id {id} is needed, and this sentinel has no 'raft secret-file'")));
        };
        let clear = keys
            .open(id, &place_of(group, setting), &sealed.bytes())
            .map_err(|error: OpenError| cannot(group, place, error.to_string()))?;
        String::from_utf8(clear.to_vec()).map_err(|_| cannot(group, place, "it is not text".to_owned()))
    }
}

fn cannot(group: &GroupName, (_, what): (&str, &'static str), why: String) -> CannotOpen {
    CannotOpen { what, group: group.clone(), why }
}

/// What a text is sealed for. A name of a group holds no newline.
fn place_of(group: &GroupName, setting: &str) -> Vec<u8> {
    format!("raft-sentinel group setting\n{group}\n{setting}").into_bytes()
}

/// Sealing with one key, for one group.
#[derive(Debug)]
pub struct Sealing<'a> {
    key: &'a Key,
    group: &'a GroupName,
}

impl<'a> Sealing<'a> {
    /// Seals with this key for this group.
    pub const fn new(key: &'a Key, group: &'a GroupName) -> Self {
        Self { key, group }
    }

    /// Seals what is clear in the settings.
    pub fn settings(&self, settings: &mut GroupSettings) {
        settings.auth_pass.iter_mut().for_each(|pass| self.password(pass));
        settings.notification_webhook.iter_mut().for_each(|url| self.webhook(url));
    }

    /// Seals what is clear in the changes.
    pub fn changes(&self, changes: &mut [SettingChange]) {
        for change in changes {
            match change {
                SettingChange::AuthPass(Some(pass)) => self.password(pass),
                SettingChange::NotificationWebhook(Some(url)) => self.webhook(url),
                _ => {}
            }
        }
    }

    /// Seals a clear password.
    pub fn password(&self, pass: &mut StoredSecret) {
        if let StoredSecret::Clear(clear) = pass {
            *pass = StoredSecret::Sealed(self.seal(PASSWORD.0, clear.expose()));
        }
    }

    /// Seals a clear webhook.
    pub fn webhook(&self, url: &mut StoredWebhook) {
        if let StoredWebhook::Clear(clear) = url {
            *url = StoredWebhook::Sealed { shown: clear.shown(), url: self.seal(WEBHOOK.0, clear.expose()) };
        }
    }

    fn seal(&self, setting: &str, clear: &str) -> Sealed {
        let bytes = self.key.seal(&place_of(self.group, setting), clear.as_bytes());
        Sealed::new(self.key.id().to_string(), &bytes).expect("a key id and the bytes of a setting make a sealed text")
    }
}
