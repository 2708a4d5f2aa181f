//! `--modbus NAME=URL`, which grants a device.

use pattoo_modbus::DeviceUrl;

use super::DeviceGrant;
use crate::capability::{GrantFlag, GrantFlagError};

/// The flag.
pub(super) static FLAG: GrantFlag = GrantFlag {
    value_name: "NAME=URL",
    help: "Grant a Modbus device under a name: all four tables of one unit (repeatable)",
    grant: |text, grants| {
        let device = device(text).map_err(GrantFlagError::Invalid)?;
        if grants.modbus.iter().any(|other| other.name == device.name) {
            return Err(GrantFlagError::Twice {
                what: format!("the device `{}` is granted twice", device.name),
                help: "choose another name; to read several units of one device, write `units: [1, 7]` in a --grants file",
            });
        }
        grants.modbus.push(device);
        Ok(())
    },
};

fn device(text: &str) -> Result<DeviceGrant, String> {
    let (name, url) = text.split_once('=').ok_or("expected NAME=URL, for example plc1=tcp://192.0.2.10:502")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    let url: DeviceUrl = url.parse().map_err(|error| format!("{error}"))?;
    Ok(DeviceGrant::new(name, &url))
}
