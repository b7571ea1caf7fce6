//! The changes that clients asked for.

use crate::machine::Request;
use crate::proto::admin as pb;

pub(in super::super) fn shown(request: &Request) -> pb::RequestRecord {
    let by = &request.by;
    pb::RequestRecord {
        revision: request.stamp.index.0,
        at_us: request.stamp.at.0,
        group: request.group.as_ref().map(ToString::to_string).unwrap_or_default(),
        what: request.what.clone(),
        by: Some(pb::Asker {
            user: by.user().to_owned(),
            address: by.from().to_owned(),
            port: by.port().to_owned(),
            sentinel_id: by.sentinel().0,
        }),
    }
}
