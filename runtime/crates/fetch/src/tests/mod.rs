//! Claims about the guarded client, held against sites made of raw bytes on loopback.

mod address;
mod body;
mod headers;
mod hostile;
mod kept;
mod origin;
mod path;
mod policy;
mod proxy;
mod redirect;
mod response;
mod secret;
mod site;
mod tls;
